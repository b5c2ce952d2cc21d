"""The kinds of values that sections are made of."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
)

from onceproxy.config.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from onceproxy.config.values import lasting, read_list

# Editors check the file before ${NAME} is filled in.
_OR_REFERENCE = r"^({})$|\$\{{"
_DurationText = Annotated[str, Field(pattern=_OR_REFERENCE.format(DURATION_PATTERN))]
_SizeText = Annotated[str, Field(pattern=_OR_REFERENCE.format(SIZE_PATTERN))]
_Bytes = Annotated[int, Field(ge=0)]

Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=_DurationText | Literal[0]),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size, json_schema_input_type=_SizeText | _Bytes),
    PlainSerializer(format_size, return_type=str, when_used="json"),
]
Timeout = Annotated[Duration, AfterValidator(lasting("1ms", "24h"))]
LongTime = Annotated[Duration, AfterValidator(lasting("1ms", "3650d"))]
LongTimeOrNone = Annotated[Duration, AfterValidator(lasting("0", "3650d"))]
Window = Annotated[Duration, AfterValidator(lasting("1s", "3650d"))]
Pause = Annotated[Duration, AfterValidator(lasting("0", "1h"))]


class Section(BaseModel):
    """A mapping with known keys."""

    # Inputs are hidden in errors because they may hold a password; `wording` shows what may be shown.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def one_or_many(value: object) -> str:
    """Return the tag of what a key holds."""
    return "[many]" if isinstance(value, (list, tuple)) else "[one]"


def _word_or_members(value: object) -> str:
    return "[members]" if isinstance(value, (dict, BaseModel)) else "[word]"


T = TypeVar("T")
Many = Annotated[tuple[T, ...], BeforeValidator(read_list)]
"""A list."""

# The tags in brackets tell apart what a key may hold. They are no part of a key's name: see `wording`.
OneOrMany = Annotated[
    Annotated[T, Tag("[one]")] | Annotated[tuple[T, ...], BeforeValidator(read_list), Tag("[many]")],
    Discriminator(one_or_many),
]
"""A value, or a list of them."""

W = TypeVar("W")
WordOrMembers = Annotated[
    Annotated[W, Tag("[word]")] | Annotated[T, Tag("[members]")], Discriminator(_word_or_members)
]
"""One of a few words, or a mapping."""


def many(value: T | tuple[T, ...]) -> tuple[T, ...]:
    """Return one or many as many."""
    return value if isinstance(value, tuple) else (value,)
