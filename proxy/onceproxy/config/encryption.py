"""Keys of what receipts keep of answers: as they are written, and as they are read."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from onceproxy.config.fields import Many, Section
from onceproxy.config.given_secrets import check_variable, given_secret
from onceproxy.config.values import read_path
from onceproxy.sealing.keyring import ID_SIZE, KEY_ID, KEY_SIZE, Key

PLACES = ("key_env", "key_file", "base64")


def _check_id(text: str) -> str:
    if not KEY_ID.fullmatch(text):
        raise ValueError(f"an id has letters, digits, . _ and -, at most {ID_SIZE}, as in k1 or 2026-11")
    return text


def _file(value: object) -> Path | None:
    return None if value is None else read_path(value)


class KeySection(Section):
    """One key, in one of three places."""

    id: Annotated[str, AfterValidator(_check_id)] = Field(
        description="Its name, which each value that it encrypts holds. Never used for another key."
    )
    # Not in reprs, and so in no error: somebody may write the key itself there.
    key_env: Annotated[str, AfterValidator(check_variable)] | None = Field(
        None, repr=False, description="The environment variable that holds it, in base64."
    )
    key_file: Annotated[Path | None, BeforeValidator(_file, json_schema_input_type=str | None)] = Field(
        None, description="The file that holds it, in base64."
    )
    base64: str | None = Field(None, repr=False, description="The key itself: 32 bytes in base64.")


class Encryption(Section):
    """What is encrypted in the database and in the spool."""

    keys: Many[KeySection] = Field(
        (), description="Keys of stored answers; the first one encrypts, all decrypt. None: as they are."
    )


class BadKey(Exception):
    """A key can't be read; ``place`` is the setting that names it, and the text says what is wrong."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(what)
        self.place = place


def read_key(section: KeySection, environ: Mapping[str, str]) -> Key:
    """Return the key that a section names.

    Raises:
        BadKey: it is not there, or is no key.
    """
    place = next(name for name in PLACES if getattr(section, name) is not None)
    try:
        given = given_secret(section.key_env, section.key_file, environ) or section.base64 or ""
    except ValueError as error:
        raise BadKey(place, str(error)) from None
    try:
        secret = base64.b64decode(given.strip(), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != KEY_SIZE:
        raise BadKey(
            place, f"a key is {KEY_SIZE} random bytes in base64; `openssl rand -base64 32` makes one"
        )
    return Key(section.id, secret)


def read_keys(section: Encryption, environ: Mapping[str, str]) -> Iterator[tuple[int, Key | BadKey]]:
    """Yield the keys of a configuration with their places in the list, or what is wrong with each."""
    for at, one in enumerate(section.keys):
        if sum(getattr(one, name) is not None for name in PLACES) != 1:
            continue  # see `contradictions`
        try:
            yield at, read_key(one, environ)
        except BadKey as error:
            yield at, error
