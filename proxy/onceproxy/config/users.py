"""Who may use the proxy: `users` of the configuration, and the lines `name:hash` of `users_file`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from onceproxy.config.document import KeyPath
from onceproxy.config.fields import Many, Section
from onceproxy.config.given_secrets import check_variable, given_secret, read_private
from onceproxy.config.values import read_path_or_none
from onceproxy.core.passwords import PasswordHash, PlainPassword, Secret, check_password
from onceproxy.core.users import Users, check_user_name

_KEY = secrets.token_bytes(32)  # the same for all that this process reads


def check_hash(text: str) -> str:
    """Return the text of a hash. Raises ``ValueError``."""
    PasswordHash.parse(text)
    return text


class UserSection(Section):
    """A user, and where its password is."""

    name: Annotated[str, AfterValidator(check_user_name)] = Field(
        description="The name; by default it is the scope of the user's actions."
    )
    # None of them in a repr: people write the password where its place is meant.
    password_env: Annotated[str, AfterValidator(check_variable)] | None = Field(
        None, repr=False, description="The environment variable that holds the password."
    )
    password_hash: Annotated[str, AfterValidator(check_hash)] | None = Field(
        None, repr=False, description="A hash of the password, as `onceproxy passwd` makes it."
    )
    password_file: Annotated[
        Path | None, BeforeValidator(read_path_or_none, json_schema_input_type=str | None)
    ] = Field(None, repr=False, description="A file that holds the password in one line.")


class UnusableUsers(ValueError):
    """Users can't be read. ``wrong`` has the keys, and what is wrong there."""

    def __init__(self, wrong: list[tuple[KeyPath, str]]) -> None:
        super().__init__("; ".join(what for _, what in wrong))
        self.wrong = wrong


def read_users(sections: Many[UserSection], file: Path | None, environ: Mapping[str, str]) -> Users:
    """Return the users of the configuration and of a file, with what they prove themselves by.

    Raises:
        UnusableUsers: a password is not where it should be, or a name is there twice.
    """
    found: dict[str, Secret] = {}
    wrong: list[tuple[KeyPath, str]] = []
    for at, section in enumerate(sections):
        try:
            found[section.name] = _secret(section, environ)
        except ValueError as error:
            place = "password_env" if section.password_env is not None else "password_file"
            wrong.append((("users", at, place), str(error)))
    if file is not None:
        try:
            lines = read_private(file).splitlines()
        except ValueError as error:
            wrong.append((("users_file",), str(error)))
            lines = []
        for number, name, read in _entries(lines):
            if name in found:
                read = "its user is there already; a name has one password"
            if isinstance(read, str):
                wrong.append((("users_file",), f"{file}:{number}: {read}"))
            else:
                found[name] = read
    if wrong:
        raise UnusableUsers(wrong)
    return Users(found, _KEY)


def _secret(section: UserSection, environ: Mapping[str, str]) -> Secret:
    if section.password_hash is not None:
        return PasswordHash.parse(section.password_hash)
    given = given_secret(section.password_env, section.password_file, environ)
    return PlainPassword(check_password(given or ""))


def _entries(lines: list[str]) -> Iterator[tuple[int, str, Secret | str]]:
    """Yield each line's number, its user, and the hash or what is wrong with the line."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, _, hashed = text.partition(":")
        try:
            yield number, check_user_name(name), PasswordHash.parse(hashed)
        except ValueError as error:
            yield number, "", f"a line is NAME:HASH. {str(error)[0].upper()}{str(error)[1:]}"
