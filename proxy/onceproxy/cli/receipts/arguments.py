"""What people type: IDs, durations, header lines, bodies."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from onceproxy.config.units import parse_duration
from onceproxy.core.receipts import RequestId

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110 §5.6.2)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # a field value (RFC 9110 §5.5)


class RequestIdType(click.ParamType[RequestId]):
    """A request_id, as it is shown everywhere."""

    name = "ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RequestId:
        """Read a request_id, or fail with what is wrong."""
        if isinstance(value, RequestId):
            return value
        try:
            return RequestId.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class DurationType(click.ParamType[float]):
    """A duration such as 24h, in seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a duration, or fail with what is wrong."""
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class MomentType(click.ParamType[datetime]):
    """A date, a time with its zone, or how long ago: 2026-11-01, 2026-11-01T12:00Z, 24h."""

    name = "MOMENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a moment, or fail with what is wrong."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.now(UTC) - timedelta(seconds=parse_duration(value))
        except (ValueError, OverflowError):
            pass
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time, as 2026-11-01T12:00Z, nor how long ago, as 24h", param, ctx)
        if found.tzinfo is None and "T" in value:
            self.fail(f"{value!r} has no zone: 2026-11-01T12:00Z or +01:00", param, ctx)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found


class HeaderType(click.ParamType[tuple[bytes, bytes]]):
    """A header line such as 'Content-Type: application/json'."""

    name = "'N: v'"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[bytes, bytes]:
        """Read a header line, or fail with what is wrong."""
        if isinstance(value, tuple):
            return value
        name, colon, text = value.partition(":")
        if not colon or not _NAME.fullmatch(name):
            self.fail(f"{value!r} is no header line: write 'Name: value'", param, ctx)
        if not _VALUE.fullmatch(text):
            self.fail(f"the value of {name} holds what a header can't", param, ctx)
        return name.encode("ascii"), text.strip().encode("latin-1")


class BodyType(click.ParamType[bytes]):
    """A body: @FILE, @- for standard input, or the text itself."""

    name = "@FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Read a body, or fail with what is wrong."""
        if isinstance(value, bytes):
            return value
        if not value.startswith("@"):
            return str(value).encode("utf-8", "surrogateescape")
        if value == "@-":
            return sys.stdin.buffer.read()
        try:
            return Path(value[1:]).read_bytes()
        except OSError as error:
            self.fail(f"can't read {value[1:]}: {error.strerror}", param, ctx)


class NoteType(click.ParamType[str]):
    """Why somebody did something; never empty."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a note, or fail where there is nothing in it."""
        text = str(value).strip()
        if not text:
            self.fail("a note says why, for whoever reads the history later", param, ctx)
        return text
