"""Sealed values: opened by their own key, in their own place, unchanged; and nothing else."""

from __future__ import annotations

import pytest

from onceproxy.guard.ports import Unreadable
from onceproxy.sealing.keyring import OVERHEAD, Key, Keyring, key_id

K1, K2 = Key("k1", bytes(range(32))), Key("key-of-16-chars.", b"2" * 32)


def test_what_was_sealed_is_opened_by_any_ring_that_has_the_key() -> None:
    sealed = Keyring([K1]).seal(b"plain", b"place")

    assert len(sealed) == len(b"plain") + OVERHEAD
    assert b"plain" not in sealed
    assert key_id(sealed) == "k1"
    assert Keyring([K2, K1]).open(sealed, b"place") == b"plain"


def test_the_first_key_seals() -> None:
    ring = Keyring([K2, K1])

    assert ring.writes == K2.id
    assert key_id(ring.seal(b"", b"")) == K2.id


def test_no_two_are_sealed_alike() -> None:
    ring = Keyring([K1])

    assert ring.seal(b"plain", b"") != ring.seal(b"plain", b"")


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(Unreadable, match="'k1', which is not in"):
        Keyring([K2]).open(Keyring([K1]).seal(b"plain", b""), b"")


@pytest.mark.parametrize("at", range(OVERHEAD + 5))
def test_each_byte_counts(at: int) -> None:
    ring = Keyring([K1])
    sealed = bytearray(ring.seal(b"plain", b"place"))
    sealed[at] ^= 1

    with pytest.raises(Unreadable):
        ring.open(bytes(sealed), b"place")


@pytest.mark.parametrize(
    "sealed", [b"", b"plain" * 20, Keyring([K1]).seal(b"", b"")[:-1]], ids=["empty", "plain", "cut"]
)
def test_what_is_no_sealed_value(sealed: bytes) -> None:
    with pytest.raises(Unreadable):
        Keyring([K1]).open(sealed, b"")


def test_another_place_another_key_of_the_same_id() -> None:
    sealed = Keyring([K1]).seal(b"plain", b"place")

    with pytest.raises(Unreadable):
        Keyring([K1]).open(sealed, b"another place")
    with pytest.raises(Unreadable, match="the key 'k1' here is another one"):
        Keyring([Key("k1", K2.secret)]).open(sealed, b"place")


def test_without_keys_nothing_is_sealed() -> None:
    assert Keyring().writes is None
    with pytest.raises(ValueError, match="no key"):
        Keyring().seal(b"", b"")


def test_a_key_is_not_in_its_repr() -> None:
    assert "2222" not in repr(K2)
