"""Queries and forms: pairs of a name and a value, in an order that means nothing, but for where it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from onceproxy.core.canonical import MAX_VALUES, NotCanonical, canonical_escapes
from onceproxy.core.rules import Selection


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair as it was sent, and its name decoded."""

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """The value decoded: escapes, and ``+`` as a space."""
        return _decoded(self.raw.partition(b"=")[2])

    @property
    def canonical(self) -> bytes:
        """The pair with its escapes in one spelling.

        ``a`` and ``a=`` stay different, and so do ``+`` and ``%20``: what they mean is the upstream's affair.
        """
        return canonical_escapes(self.raw)


def split_pairs(text: bytes) -> list[Pair]:
    """Take a query or a urlencoded form apart.

    Raises:
        NotCanonical: more than ``MAX_VALUES`` pairs.
    """
    if text.count(b"&") > MAX_VALUES:
        raise NotCanonical(f"more than {MAX_VALUES} pairs")
    return [Pair(_decoded(raw.partition(b"=")[0]), raw) for raw in text.split(b"&") if raw]


def ordered(pairs: Iterable[Pair]) -> tuple[bytes, ...]:
    """Return the pairs' canonical forms, sorted by name and value, but for those of an array.

    In ``items[][price]=5&items[][count]=2&items[][price]=7`` the order says what belongs together: pairs
    whose names are the same up to ``[]`` keep the order among one another.
    """

    def key(pair: Pair) -> tuple[bytes, bytes]:
        return array_or_name(pair.name), b"" if b"[]" in pair.name else pair.canonical

    return tuple(pair.canonical for pair in sorted(pairs, key=key))


def array_or_name(name: bytes) -> bytes:
    """Return what the names of one array have in common, up to and with ``[]``; else the name."""
    array, brackets, _ = name.partition(b"[]")
    return array + brackets


def chosen_names(names: Iterable[bytes], rules: Selection) -> frozenset[bytes]:
    """Return which of the names that are there count.

    Where a name of ``include`` is not there, all names count but those of ``exclude``: what is left could be
    the same for requests that are not.
    """
    there = frozenset(names)
    include = {name.encode("utf-8") for name in rules.include or ()}
    chosen = there & include if include and include <= there else there
    chosen -= {name.encode("utf-8") for name in rules.exclude}
    return chosen


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))
