"""What a hostile input is: the bytes, and what must become of them.

An input is kept as a file of raw bytes with placeholders, since the same one is sent in several ways:

    @base@      what stands before the path in a request line: an origin, nothing (in a tunnel), or a mount
    @host@      the upstream's host and port
    @1@ … @9@   marks; each request that an input holds, or hides, has one of its own in its target
    @<  @>      enclose a part of the input, whose size is
    @length@    in decimal, @hexlength@ in hexadecimal
    @leave@     here the client waits for leave to go on: a 100
    @pause@     here it gives the proxy a chance to read what came so far
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
REQUESTS = CORPUS / "requests"

FORWARD, TUNNEL, MOUNT = "forward", "tunnel", "mount"
WAYS = (FORWARD, TUNNEL, MOUNT)

LEAVE, PAUSE = b"@leave@", b"@pause@"

_MARK = re.compile(rb"@([1-9])@")


class End(StrEnum):
    """How an input ends."""

    ANSWERED = "answered"
    """Each request in it is sent, and the connection serves another one."""

    CLOSED = "closed"
    """Each request in it is sent, and the connection is closed behind the last."""

    REFUSED = "refused"
    """What is sent is sent; then comes a problem of ours, and the end of the connection."""

    PERHAPS = "perhaps"
    """What stands before the bad part is sent and answered, or refused with it: TCP cuts where it likes.

    Behind the last answer the connection is closed, with a problem or without.
    """

    TOLD = "told"
    """What is sent is sent; then comes a problem of ours, and the connection serves another request."""

    CUT = "cut"
    """The client leaves in the middle of it. What was whole is sent, the rest is not, and nobody waits."""


PROBLEMS = frozenset({End.REFUSED, End.PERHAPS, End.TOLD})


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that must reach the upstream. ``has`` and ``lacks`` are header lines.

    All texts are in Latin-1 and hold placeholders. Without a ``target`` it is ``/`` and the mark.
    """

    mark: str = "1"
    method: str = "POST"
    body: str = ""
    target: str = ""
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What must become of an input. ``status`` holds where the end is a problem of ours."""

    end: End
    sent: tuple[Sent, ...] = ()
    status: tuple[int, ...] = (400,)


@dataclass(frozen=True, slots=True)
class Hostile:
    """One input. ``expected`` holds in all ways but those that ``otherwise`` names."""

    name: str
    raw: bytes
    expected: Expected
    otherwise: Mapping[str, Expected] = field(default_factory=dict)

    def by(self, way: str) -> Expected:
        """What is expected when it is sent in a way."""
        return self.otherwise.get(way, self.expected)

    @property
    def marks(self) -> list[str]:
        """The marks in it."""
        return sorted({mark.decode() for mark in _MARK.findall(self.raw)})

    def bytes(self, base: str, host: str, marks: Mapping[str, str]) -> bytes:
        """Put in what the placeholders stand for, but for ``LEAVE`` and ``PAUSE``."""
        data = filled(self.raw, base, host, marks)
        before, opened, rest = data.partition(b"@<")
        if not opened:
            return data
        inside, _, after = rest.partition(b"@>")
        data = before + inside + after
        sizes = {b"@length@": b"%d" % len(inside), b"@hexlength@": b"%x" % len(inside)}
        for name, size in sizes.items():
            data = data.replace(name, size)
        return data


@dataclass(frozen=True, slots=True)
class Class:
    """Inputs of one kind. ``rows`` are those of the hostile-input table; ``about`` says what the trick is."""

    name: str
    rows: str
    about: str
    inputs: tuple[Hostile, ...]


def filled(text: bytes, base: str, host: str, marks: Mapping[str, str]) -> bytes:
    """Put in what the placeholders stand for, but for the sizes."""
    text = text.replace(b"@base@", base.encode()).replace(b"@host@", host.encode())
    return _MARK.sub(lambda mark: marks[mark[1].decode()].encode(), text)


def write(classes: Iterable[Class], directory: Path) -> None:
    """Write classes, each into a directory of its own."""
    for one in classes:
        place = directory / one.name
        place.mkdir(parents=True)
        for item in one.inputs:
            (place / f"{item.name}.raw").write_bytes(item.raw)
        inputs = {item.name: _expectations(item) for item in one.inputs}
        index = {"about": one.about, "rows": one.rows, "inputs": inputs}
        (place / "expected.json").write_text(json.dumps(index, indent=1, ensure_ascii=True) + "\n")


def read(directory: Path = REQUESTS) -> Iterator[Class]:
    """Read what ``write`` wrote."""
    for place in sorted(directory.iterdir()):
        index = json.loads((place / "expected.json").read_text())
        inputs = tuple(
            Hostile(
                name,
                (place / f"{name}.raw").read_bytes(),
                _expected(ways.pop("all")),
                {way: _expected(one) for way, one in ways.items()},
            )
            for name, ways in index["inputs"].items()
        )
        yield Class(place.name, index["rows"], index["about"], inputs)


def _expectations(item: Hostile) -> dict[str, object]:
    return {way: _plain(one) for way, one in {"all": item.expected, **item.otherwise}.items()}


def _plain(expected: Expected) -> dict[str, object]:
    sent = [{name: value for name, value in asdict(one).items() if value} for one in expected.sent]
    plain: dict[str, object] = {"end": str(expected.end)}
    if sent:
        plain["sent"] = sent
    if expected.end in PROBLEMS:
        plain["status"] = list(expected.status)
    return plain


def _expected(plain: dict[str, Any]) -> Expected:
    sent = tuple(
        Sent(**{name: _frozen(value) for name, value in one.items()}) for one in plain.get("sent", ())
    )
    return Expected(End(plain["end"]), sent, tuple(plain.get("status", (400,))))


def _frozen(value: str | list[str]) -> Any:
    return value if isinstance(value, str) else tuple(value)
