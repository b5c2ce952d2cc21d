"""Keys of stored answers: where they are read from, and what is said where they can't be. Never a key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from onceproxy.config.encryption import read_keys
from onceproxy.config.load import ConfigError, load
from onceproxy.sealing.keyring import Key
from unit.config.loading import FILE

KEY = base64.b64encode(bytes(range(32))).decode()
SHORT = base64.b64encode(b"xyzzy" * 3).decode()


def problems_of(text: str) -> list[str]:
    FILE.write_text(f"version: 1\n{text}")
    with pytest.raises(ConfigError) as caught:
        load(FILE, environ={}, serving=True)
    return caught.value.problems


def test_keys_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    file = tmp_path / "onceproxy.yaml"
    file.write_text(
        f"version: 1\nencryption:\n  keys:\n    - {{id: a, key_env: A_KEY}}\n"
        f"    - {{id: b.2, key_file: {tmp_path / 'key'}}}\n    - {{id: c, base64: '${{A_KEY}}'}}\n"
    )
    environ = {"A_KEY": KEY}

    settings = load(file, environ=environ)

    found = [key for _, key in read_keys(settings.encryption, environ)]
    assert found == [Key(name, bytes(range(32))) for name in ("a", "b.2", "c")]
    assert KEY not in repr(settings)


MAKE = "`openssl rand -base64 32` makes one"
UNSET = "the environment has no variable of that name, or it is empty; set it to the secret"
VARIABLE = "it must be the name of an environment variable, not the secret itself"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("{id: a, key_env: NO_KEY}", f"[0].key_env: {UNSET}"),
        ("{id: a, key_file: /no/file}", "[0].key_file: there is no such file"),
        (f"{{id: a, base64: {SHORT}}}", f"[0].base64: a key is 32 random bytes in base64; {MAKE}"),
        ("{id: a, base64: xyzzy-xyzzy}", f"[0].base64: a key is 32 random bytes in base64; {MAKE}"),
        (f"{{id: a, key_env: {KEY}}}", f"[0].key_env: {VARIABLE}"),
        ("{id: a}", "[0]: must have exactly one of key_env, key_file, base64"),
        (f"{{id: a, base64: {KEY}, key_env: A}}", "[0]: must have exactly one of key_env, key_file, base64"),
        (f"{{base64: {KEY}}}", "[0].id: is missing; it must be there"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_key(key: str, problem: str) -> None:
    problems = problems_of(f"encryption: {{keys: [{key}]}}")

    assert [line.partition("encryption.keys")[2] for line in problems] == [problem]
    assert "xyzzy" not in str(problems)
    assert KEY not in str(problems)


def test_an_id_is_that_of_one_key() -> None:
    problems = problems_of(f"encryption: {{keys: [{{id: a, base64: {KEY}}}, {{id: a, base64: {KEY}}}]}}")

    assert "encryption.keys[1].id: is that of encryption.keys[0], too; each key has its own" in problems[0]


def test_a_long_id() -> None:
    problems = problems_of(f"encryption: {{keys: [{{id: a-name-of-17-chars, base64: {KEY}}}]}}")

    assert "at most 16" in problems[0]
