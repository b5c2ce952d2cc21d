"""Hashes of passwords: what they take, what they refuse, and what shows of them."""

from __future__ import annotations

import pytest

from onceproxy.core.passwords import BadHash, Cost, PasswordHash, PlainPassword, check_password

LEAST = Cost(14, 8, 1)
SALT = b"0123456789abcdef"
# RFC 7914 §12: N = 16384, r = 8, p = 1; the first 32 bytes.
RFC_7914 = PasswordHash(
    LEAST,
    b"SodiumChloride",
    bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"),
)


def test_a_hash_is_the_one_of_the_rfc() -> None:
    assert PasswordHash.of("pleaseletmein", b"SodiumChloride", LEAST) == RFC_7914
    assert PasswordHash.parse(str(RFC_7914)) == RFC_7914
    assert RFC_7914.matches("pleaseletmein")
    assert not RFC_7914.matches("pleaseletmeinn")


def test_a_letter_is_the_same_however_it_was_composed() -> None:
    assert PasswordHash.of("caf\u00e9", SALT, LEAST).matches("cafe\u0301")
    assert PlainPassword("caf\u00e9").matches("cafe\u0301")
    assert not PlainPassword("cafe").matches("caf\u00e9")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "$2y$05$abcdefghijklmnopqrstuu",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaA",
        "$scrypt$ln=13,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43,
        "$scrypt$ln=14,r=7,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43,
        "$scrypt$ln=14,r=8,p=0$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43,
        "$scrypt$ln=20,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43,
        "$scrypt$ln=17,r=8,p=9$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43,
        "$scrypt$ln=14,r=8,p=1$MDEy$" + "A" * 43,
        "$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 42,
        "$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$A",
        "$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43 + "\n",
    ],
)
def test_what_is_no_hash_or_a_cheap_or_a_very_dear_one_is_refused(text: str) -> None:
    with pytest.raises(BadHash) as caught:
        PasswordHash.parse(text)

    assert not text or text not in str(caught.value)


def test_nothing_shows_of_a_password() -> None:
    shown = repr((PlainPassword("hunter2"), RFC_7914))

    assert "hunter2" not in shown
    assert "Sodium" not in shown
    assert "digest" not in shown


@pytest.mark.parametrize("text", ["", "a\nb", "a\x7fb", "x" * 1025])
def test_what_no_client_can_send_is_no_password(text: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        check_password(text)
