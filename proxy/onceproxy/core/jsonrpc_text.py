"""JSON as it is written, JSON-RPC above all: where in a text a member stands, so that it alone is changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json import JSONDecoder
from typing import Any, TypeVar

_SPACE = re.compile(r"[ \t\n\r]*")
_BYTE_ORDER_MARK = "\ufeff"
_decode = JSONDecoder().raw_decode
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Written:
    """A member's value: where it is in the text, and what it says."""

    start: int
    end: int
    value: Any


Message = Mapping[str, Written]
"""The members of one message by their names."""


def written_messages(text: str) -> list[Message]:
    """Return the messages of a text: the one, or those of a batch (JSON-RPC 2.0 §6).

    Raises:
        ValueError: it is no JSON object or array of objects, or one has a name twice.
        RecursionError: it nests too deep.
    """
    start = _after_space(text, text.startswith(_BYTE_ORDER_MARK))
    if text[start : start + 1] == "[":
        messages, end = _sequence(text, start, "]", _message)
    else:
        message, end = _message(text, start)
        messages = [message]
    if _after_space(text, end) != len(text):
        raise ValueError("something follows the message")
    return messages


def written_members(text: str, start: int) -> Message:
    """Return the members of the object at ``start``. Raises as ``written_messages`` does."""
    return _message(text, start)[0]


def written_elements(text: str, start: int) -> list[Written]:
    """Return the elements of the array at ``start``. Raises as ``written_messages`` does."""
    return _sequence(text, start, "]", _element)[0]


def _element(text: str, start: int) -> tuple[Written, int]:
    value, end = _decode(text, start)
    return Written(start, end, value), end


def _message(text: str, start: int) -> tuple[Message, int]:
    if text[start : start + 1] != "{":
        raise ValueError("no object")
    members, end = _sequence(text, start, "}", _member)
    message = dict(members)
    if len(message) != len(members):
        raise ValueError("a name is there twice")
    return message, end


def _member(text: str, start: int) -> tuple[tuple[str, Written], int]:
    if text[start : start + 1] != '"':
        raise ValueError("no name")
    name, end = _decode(text, start)
    end = _after_space(text, end)
    if text[end : end + 1] != ":":
        raise ValueError("no colon")
    begin = _after_space(text, end + 1)
    value, end = _decode(text, begin)
    return (name, Written(begin, end, value)), end


def _sequence(
    text: str, start: int, close: str, read: Callable[[str, int], tuple[_T, int]]
) -> tuple[list[_T], int]:
    """Read what stands between the bracket at ``start`` and ``close``, and return it and what is behind."""
    found: list[_T] = []
    at = _after_space(text, start + 1)
    if text[at : at + 1] == close:
        return found, at + 1
    while True:
        one, at = read(text, at)
        found.append(one)
        at = _after_space(text, at)
        if text[at : at + 1] == close:
            return found, at + 1
        if text[at : at + 1] != ",":
            raise ValueError("no comma")
        at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()
