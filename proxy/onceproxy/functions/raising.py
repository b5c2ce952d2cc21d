"""What an exception of a guarded function says: that nothing happened, a final answer, or nothing certain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from onceproxy.core.masking import masked_text
from onceproxy.functions.codecs import NotEncodable, PlainJson

EXCEPTION = "application/vnd.onceproxy.exception+json"
"""The content type of a final answer that is an exception."""

SHOWN = 500  # characters of an exception's text that are kept as evidence


class Meaning(Enum):
    """What an exception says of the call that raised it."""

    NOTHING_HAPPENED = "nothing happened"
    FINAL = "final"
    UNKNOWN = "unknown"


class NoSuchException(Exception):
    """A stored exception can't be made again here; the text says what it was."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The exceptions that a function's author has declared; any other says nothing that is certain."""

    released_on: tuple[type[BaseException], ...] = ()
    final_on: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        for option, kinds in (("released_on", self.released_on), ("final_on", self.final_on)):
            if any(not (isinstance(kind, type) and issubclass(kind, BaseException)) for kind in kinds):
                raise TypeError(f"{option} takes exception classes, as in {option}=(ConnectError,)")
        for kind in self.released_on:
            if kind in self.final_on:
                raise ValueError(f"{kind.__qualname__} can't be in released_on and in final_on")
            if issubclass(StopIteration, kind) or not issubclass(kind, Exception):
                raise ValueError(
                    f"released_on={kind.__qualname__} would call again whatever went wrong: name the "
                    "exceptions after which it is certain that nothing happened"
                )

    def meaning(self, error: BaseException) -> Meaning:
        """Return what ``error`` says: of the declared classes, the one that is nearest to its own decides."""
        for kind in type(error).__mro__:
            if kind in self.released_on:
                return Meaning.NOTHING_HAPPENED
            if kind in self.final_on:
                return Meaning.FINAL
        return Meaning.UNKNOWN

    def again(self, data: bytes) -> BaseException:
        """Return the stored exception.

        Raises:
            NoSuchException: it is none of those that are declared final, or can't be made from its arguments.
        """
        try:
            stored = json.loads(data)
            called, args = str(stored["type"]), list(stored["args"])
        except (ValueError, LookupError, TypeError):
            raise NoSuchException("a final exception, which can't be read") from None
        for kind in self._final_kinds():
            if _called(kind) == called and (made := _made(kind, args)) is not None:
                return made
        shown = ", ".join(repr(argument) for argument in args)
        raise NoSuchException(f"{called}({shown})")

    def _final_kinds(self) -> Iterator[type[BaseException]]:
        waiting, seen = list(self.final_on), set()
        while waiting:
            kind = waiting.pop(0)
            if kind not in seen:
                seen.add(kind)
                yield kind
                waiting += kind.__subclasses__()


def stored_form(error: BaseException) -> bytes:
    """Return what is stored of a final exception: its class by name, and its arguments.

    Raises:
        NotEncodable: the arguments are no JSON, or do not make the same exception again.
    """
    args = list(error.args)
    data = PlainJson().encode({"type": _called(type(error)), "args": args})
    if _made(type(error), args) is None:
        raise NotEncodable(f"{type(error).__qualname__} can't be made again from its args")
    return data


def in_words(error: BaseException) -> str:
    """Return an exception for people: its class, and the first line of its text without well-known tokens.

    Only that line: Postgres quotes the row that it refuses in those that follow.
    """
    text = masked_text(str(error).partition("\n")[0])
    shown = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return f"{type(error).__qualname__}: {shown}" if shown else type(error).__qualname__


def _made(kind: type[BaseException], args: list[Any]) -> BaseException | None:
    try:
        made = kind(*args)
    except Exception:  # noqa: BLE001 (whatever a stranger's constructor raises: it can't be made)
        return None
    return made if list(made.args) == args else None


def _called(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
