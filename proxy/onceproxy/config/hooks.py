"""Hooks: who is told of what, as it is written and as it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from onceproxy.config.address import Address
from onceproxy.config.fields import Many, Section
from onceproxy.config.given_secrets import check_variable, given_secret
from onceproxy.config.values import check_mount_url, read_path_or_none
from onceproxy.core.notices import NoticeKind, read_secret

PLACES = ("secret_env", "secret_file")


def check_hook_url(text: str) -> str:
    """Return the URL of a receiver.

    Raises:
        ValueError: no absolute http(s) URL, or one with user or fragment.
    """
    check_mount_url(text.partition("?")[0])
    if "#" in text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            "it must hold no fragment (#), no spaces and only ASCII; percent-encode what is else"
        )
    return text


def _check_events(kinds: tuple[NoticeKind, ...]) -> tuple[NoticeKind, ...]:
    if not kinds:
        raise ValueError(f"it must name one at least of {', '.join(NoticeKind)}; all, where it is left out")
    return kinds


class HookSection(Section):
    """A receiver of signed messages."""

    # Not in reprs: its path may be all that keeps strangers out, and people write the secret where its place
    # is meant.
    url: Annotated[str, AfterValidator(check_hook_url)] = Field(
        repr=False, description="Where messages are sent by POST."
    )
    secret_env: Annotated[str, AfterValidator(check_variable)] | None = Field(
        None, repr=False, description="The environment variable that holds the secret, whsec_ and base64."
    )
    secret_file: Annotated[
        Path | None, BeforeValidator(read_path_or_none, json_schema_input_type=str | None)
    ] = Field(None, repr=False, description="The file that holds it in one line.")
    events: Annotated[Many[Annotated[NoticeKind, Field(strict=False)]], AfterValidator(_check_events)] = (
        Field(tuple(NoticeKind), description="What it is told of.")
    )


def goes_in_clear(section: HookSection) -> bool:
    """Say whether others can read on the way what a hook is told: it is no https, and not on this machine."""
    parts = urlsplit(section.url)
    return parts.scheme == "http" and not Address(parts.hostname or "", parts.port or 80).is_loopback


class BadSecret(Exception):
    """A secret can't be read; ``place`` is the setting that names it, and the text says what is wrong."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(what)
        self.place = place


def read_secrets(
    sections: Many[HookSection], environ: Mapping[str, str]
) -> Iterator[tuple[int, bytes | BadSecret]]:
    """Yield the keys of hooks with their places in the list, or what is wrong with each."""
    for at, section in enumerate(sections):
        named = [name for name in PLACES if getattr(section, name) is not None]
        if len(named) != 1:
            continue  # see `contradictions`
        try:
            given = given_secret(section.secret_env, section.secret_file, environ)
            yield at, read_secret((given or "").strip())
        except ValueError as error:
            yield at, BadSecret(named[0], str(error))
