"""The key of a call: a parameter's name, a template such as ``{order.id}``, or a function of the arguments.

A template has places ``{parameter}`` and ``{parameter.name}``, and text around them. A name is an attribute,
a member of a dict, or a number that counts in a list or tuple; one that begins with ``_`` is no name. Nothing
is evaluated, and nothing called but what an attribute itself does.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from onceproxy.functions.errors import BadKey

KeyValue = str | int | UUID | Decimal | date | Enum | tuple["KeyValue", ...]
"""What a key may be: a text that is not empty, what has one text, or a tuple of those."""

ReadKey = Callable[[Mapping[str, Any], tuple[Any, ...], Mapping[str, Any]], str]
"""Returns a call's key, from its bound arguments and from those it was called with. Raises ``BadKey``."""

_PLACE = re.compile(r"\{([^{}]*)\}")
_PATH = re.compile(r"[^\W\d]\w*(?:\.\w+)*")


def key_text(key: Any, what: str = "the key") -> str:
    """Return the text of a key. ``what`` is how to call it.

    Raises:
        BadKey: it is empty, None, or nothing that has one text.
    """
    match key:
        case bool():
            pass
        case Enum():
            return key_text(key.value, what)
        case str() if key:
            if any("\ud800" <= character <= "\udfff" for character in key):
                raise BadKey(f"{what} is no Unicode: it holds half of a surrogate pair")
            return str(key)
        case str():
            raise BadKey(f"{what} is empty: calls without a key would all be one action")
        case datetime() | date():
            return key.isoformat()
        case int() | UUID() | Decimal():
            return str(key)
        case tuple() if key:
            return json.dumps([key_text(part, f"a part of {what}") for part in key], ensure_ascii=False)
    shown = "None" if key is None else f"of type {type(key).__qualname__}"
    raise BadKey(f"{what} is {shown}: it must be a text, an int, a UUID, a date, or a tuple of those")


def reader(expression: str | Callable[..., Any], signature: inspect.Signature, what: str = "key") -> ReadKey:
    """Return what reads the key of a call.

    Raises:
        ValueError: the expression names no parameter, or is no template. ``what`` is the option's name.
    """
    if callable(expression):
        ask = expression
        return lambda _, args, kwargs: key_text(ask(*args, **kwargs), f"the {what} that {what}= returned")
    if "{" not in expression and "}" not in expression:
        expression = "{" + expression + "}"
    pieces = list(_pieces(expression, signature, what))
    if not any(isinstance(piece, tuple) for piece in pieces):
        raise ValueError(f"{what}={expression!r} names no parameter, so all calls would be one action")
    if len(pieces) == 1:
        path = pieces[0]
        return lambda arguments, *_: key_text(_found(arguments, path), f"the {what} {expression}")
    return lambda arguments, *_: "".join(
        piece if isinstance(piece, str) else key_text(_found(arguments, piece), f"the {what}'s {piece[0]}")
        for piece in pieces
    )


def _pieces(template: str, signature: inspect.Signature, what: str) -> Iterator[str | tuple[str, ...]]:
    end = 0
    for place in _PLACE.finditer(template):
        if text := template[end : place.start()]:
            yield text
        end = place.end()
        names = tuple(place[1].split("."))
        if not _PATH.fullmatch(place[1]) or any(name.startswith("_") for name in names):
            raise ValueError(f"{what}: {{{place[1]}}} is no place: write {{parameter}} or {{parameter.name}}")
        if names[0] not in signature.parameters:
            known = ", ".join(signature.parameters) or "none"
            raise ValueError(f"{what}: there is no parameter {names[0]!r}; there is {known}")
        yield names
    if text := template[end:]:
        yield text
    if re.search(r"[{}]", _PLACE.sub("", template)):
        raise ValueError(f"{what}={template!r}: each {{ needs its }}")


def _found(arguments: Mapping[str, Any], path: str | tuple[str, ...]) -> Any:
    value: Any = arguments[path[0]]
    for name in path[1:]:
        try:
            if isinstance(value, Mapping):
                value = value[name]
            elif isinstance(value, list | tuple) and name.isdigit():
                value = value[int(name)]
            else:
                value = getattr(value, name)
        except (LookupError, AttributeError):
            raise BadKey(f"the key's {{{'.'.join(path)}}}: there is no {name!r} in it") from None
    return value
