"""The fingerprint of a call's arguments: canonical JSON (RFC 8785), with a form for what JSON has not.

Too coarse a form would swallow a call that was wanted, so whatever JSON can't tell apart is told by a member
``$…``, and what has no stable form is refused. Too fine a one lets a duplicate through; a key is the way out.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import inspect
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import rfc8785
from pydantic import BaseModel

from onceproxy.core.canonical import pack

EXACT = 1 << 53  # integers up to this are exact in every reader of JSON (RFC 8785 §3.2.2.3)

_AS_TEXT: dict[type, Callable[[Any], str]] = {
    UUID: str,
    Decimal: str,
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: lambda span: f"{span.days}d{span.seconds}s{span.microseconds}us",
    PurePath: str,
}


class NoForm(Exception):
    """A value has no stable form; the text says where in it, and why."""


def bound_arguments(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a call's arguments by parameter, defaults included. Raises ``TypeError`` as the call would."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def fingerprint(name: str, arguments: Mapping[str, Any]) -> bytes:
    """Return the fingerprint of a call of ``name``: 32 bytes.

    Raises:
        TypeError: an argument has no stable form; the text names it, and what to do.
    """
    form = {parameter: _form_of(name, parameter, value) for parameter, value in arguments.items()}
    return hashlib.sha256(pack((b"call/1", name.encode("utf-8"), rfc8785.dumps(form)))).digest()


def _form_of(name: str, parameter: str, value: Any) -> Any:
    try:
        form = plain(value, parameter)
        rfc8785.dumps(form)  # texts that are no Unicode are found out here
    except (NoForm, rfc8785.CanonicalizationError, RecursionError, UnicodeError) as error:
        why = "it is nested too deep, or in itself" if isinstance(error, RecursionError) else str(error)
        raise TypeError(
            f"{name}: the argument {parameter!r} can't be part of the call's identity: {why}. Leave it out "
            f"with exclude=({parameter!r},) if it does not say what is to be done, or pass plain data in its "
            "place."
        ) from None
    return form


def plain(value: Any, place: str) -> Any:
    """Return ``value`` as JSON that is the same for equal values and for no others.

    Raises:
        NoForm: there is none. ``place`` is what it is called in the text.
    """
    match value:
        case None | bool():
            return value
        case Enum():
            return plain(value.value, place)
        case str():
            return str(value)
        case int():
            return int(value) if -EXACT < value < EXACT else {"$int": str(int(value))}
        case float():
            return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
        case bytes() | bytearray():
            return {"$bytes": base64.b64encode(value).decode("ascii")}
        case list() | tuple():
            return [plain(item, f"{place}[{at}]") for at, item in enumerate(value)]
        case set() | frozenset():
            items = [plain(item, f"an item of {place}") for item in value]
            return {"$set": sorted(items, key=rfc8785.dumps)}
        case dict():
            return _members(value, place)
        case BaseModel():
            # Not model_dump(): of a union's models within, it would not say which one it is.
            fields = {name: getattr(value, name) for name in type(value).model_fields}
            return {"$model": [type(value).__qualname__, _members(fields | (value.model_extra or {}), place)]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"$dataclass": [type(value).__qualname__, _members(fields, place)]}
    for kind, text in _AS_TEXT.items():
        if isinstance(value, kind):
            return {f"${kind.__name__.lower()}": text(value)}
    raise NoForm(f"{place} is of type {_called(value)}, of which no two can be told apart, or to be the same")


def _members(value: Mapping[Any, Any], place: str) -> dict[str, Any]:
    members = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise NoForm(f"{place} has a key of type {_called(key)}, and JSON has only texts as keys")
        # One $ before a name is ours; a name of the caller's that begins with any gets one more.
        name = f"${key}" if key.startswith("$") else str(key)
        members[name] = plain(item, f"{place}[{key!r}]")
    return members


def _called(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
