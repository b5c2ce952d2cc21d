"""Results as bytes, and back: what a receipt keeps of a call is what a copy of it gets.

A codec has to give back what it was given. Ours are checked for it before a result is stored, while the
caller still has the real one: a result that would come back as something else is not kept, and copies are
told so.
"""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any, Generic, Protocol, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import PydanticSerializationError

T = TypeVar("T")

JSON = "application/json"


class NotEncodable(Exception):
    """A result has no form that gives it back; the text says why."""


class UnreadableHint(TypeError):
    """What a function says that it returns can't be read, perhaps not yet."""


class NotDecodable(Exception):
    """What is stored is no result of this codec; the text says why."""


class Codec(Protocol[T]):
    """How the results of a function are stored. Give one of your own as ``returns=``.

    ``content_type`` is stored with each result, and one of another content type is never decoded by it: name
    the format and its version. Whatever ``encode`` and ``decode`` raise is taken for a result that can't be
    kept, or can't be read.
    """

    @property
    def content_type(self) -> str:
        """A media type, such as ``application/json``."""
        ...

    def encode(self, value: T) -> bytes:
        """Return the bytes of a result."""
        ...

    def decode(self, data: bytes) -> T:
        """Return the result that ``encode`` was given."""
        ...


class PlainJson:
    """Results that are JSON as they are: None, bool, int, float, str, and lists and dicts of these."""

    content_type = JSON

    def encode(self, value: Any) -> bytes:
        """Return the JSON of a value.

        Raises:
            NotEncodable: it would come back as something else.
        """
        _check(value, "the result")
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
                "utf-8"
            )
        except (ValueError, RecursionError) as error:
            raise NotEncodable(f"the result is no JSON: {error}") from None

    def decode(self, data: bytes) -> Any:
        """Return the value. Raises ``NotDecodable``."""
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise NotDecodable(f"it is no JSON: {error}") from None


def _check(value: Any, place: str) -> None:
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return
    if kind is list:
        for item in value:
            _check(item, "a list in it")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise NotEncodable(f"a dict in {place} has a key of type {type(key).__qualname__}")
            _check(item, "a dict in it")
    else:
        raise NotEncodable(
            f"{place} holds a {kind.__qualname__}, which JSON would give back as something else: say what "
            "the function returns, as a type hint or by returns="
        )


class TypedJson(Generic[T]):
    """Results of a type: what pydantic can write as JSON and read again, models and dataclasses among it."""

    content_type = JSON

    def __init__(self, kind: Any) -> None:
        """``kind`` is a type, or what a type hint may be.

        Raises:
            TypeError: pydantic knows no form for it.
        """
        try:
            self._adapter: TypeAdapter[T] = TypeAdapter(kind)
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as error:
            why = str(error).partition("\n")[0]
            raise TypeError(
                f"results of {kind!r} can't be stored as JSON: {why}. Give a codec: returns=…"
            ) from None

    def encode(self, value: T) -> bytes:
        """Return the JSON of a result.

        Raises:
            NotEncodable: it is not of the type, or would come back as something else.
        """
        try:
            data = self._adapter.dump_json(value, warnings="error")
            back = self.decode(data)
        except (PydanticSerializationError, NotDecodable, ValueError, RecursionError) as error:
            raise NotEncodable(
                f"the result does not fit its type: {str(error).partition(chr(10))[0]}"
            ) from None
        comparable = type(value).__eq__ is not object.__eq__
        if type(back) is not type(value) or (comparable and back != value):
            raise NotEncodable(
                f"a {type(value).__qualname__} would come back as another {type(back).__qualname__}: the "
                "type that the function returns says less than there is"
            )
        return data

    def decode(self, data: bytes) -> T:
        """Return the result. Raises ``NotDecodable``."""
        try:
            return self._adapter.validate_json(data, strict=True)
        except (ValidationError, ValueError, RecursionError) as error:
            raise NotDecodable(_line(error)) from None


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def codec_of(returns: Any) -> Codec[Any]:
    """Return the codec that ``returns`` names: itself, or one for that type. ``Any`` is plain JSON.

    Raises:
        TypeError: there is none for it.
    """
    if returns is Any or isinstance(returns, TypeVar):
        return PlainJson()
    if hasattr(returns, "encode") and hasattr(returns, "decode") and hasattr(returns, "content_type"):
        codec: Codec[Any] = returns
        return codec
    return TypedJson(returns)


def codec_by_hint(function: Any) -> Codec[Any]:
    """Return the codec for what a function says that it returns; plain JSON where it says nothing.

    Raises:
        UnreadableHint: it names what is not there, or not yet.
        TypeError: there is no codec for it.
    """
    # Only of what it returns: names of the others may be there for type checkers alone.
    told = {name: hint for name, hint in getattr(function, "__annotations__", {}).items() if name == "return"}
    spoken = SimpleNamespace(__annotations__=told, __globals__=getattr(function, "__globals__", {}))
    try:
        hints = get_type_hints(spoken, include_extras=True)
    except (NameError, AttributeError, SyntaxError) as error:
        raise UnreadableHint(
            f"{function.__qualname__}: what it returns can't be read ({error}); say returns=…"
        ) from None
    return codec_of(hints.get("return", Any))
