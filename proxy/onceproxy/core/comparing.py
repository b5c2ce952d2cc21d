"""Why two requests are one action, or two: in what their identities and their fingerprints differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from onceproxy.core.explaining import Asker, Explanation, explain
from onceproxy.core.fingerprints import CanonicalForm
from onceproxy.core.messages import Request
from onceproxy.core.readable import Hide, readable
from onceproxy.core.routes import RouteTable


class Relation(StrEnum):
    """What the second of two requests is to the first."""

    COPY = "copy"
    KEY_REUSED = "key-reused"
    OTHER = "other"
    NOT_GUARDED = "not-guarded"


class Absent:
    """What stands for a value that only the other request has."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """A part in which two requests differ, and what each has there; secrets are hidden."""

    what: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, who asks, and what becomes of it."""

    request: Request
    asker: Asker
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the second request is to the first, and why.

    ``identity`` is in what the request_ids differ, ``content`` in what the canonical forms do. ``ignored``
    differs between the requests, and makes no difference: the first could have it of the second.
    """

    relation: Relation
    identity: tuple[Difference, ...]
    content: tuple[Difference, ...]
    ignored: tuple[str, ...]


def compare(table: RouteTable, first: Asked, second: Asked) -> Comparison:
    """Compare two requests under the same rules."""
    return Comparison(
        _relation(first.explanation, second.explanation),
        tuple(_identity(first, second)),
        tuple(_content(first.explanation, second.explanation)),
        tuple(_ignored(table, first, second)),
    )


def _relation(first: Explanation, second: Explanation) -> Relation:
    if first.examined is None or second.examined is None:
        return Relation.NOT_GUARDED
    one, other = first.examined.identity, second.examined.identity
    if one.request_id != other.request_id:
        return Relation.OTHER
    return Relation.COPY if one.fingerprint == other.fingerprint else Relation.KEY_REUSED


def _identity(first: Asked, second: Asked) -> Iterator[Difference]:
    one, other = first.explanation, second.explanation
    yield from _unequal("route", one.chosen.route.name, other.chosen.route.name)
    yield from _unequal("guarded", one.guarded, other.guarded)
    if one.examined is None or other.examined is None:
        return
    yield from _unequal("kind", one.examined.identity.kind.value, other.examined.identity.kind.value)
    keys = (one.examined.identity.key, other.examined.identity.key)
    yield from _unequal("key", *(ABSENT if key is None else key.decode("ascii") for key in keys))
    if keys != (None, None):
        namespaces = (one.chosen.route.identity.namespace, other.chosen.route.identity.namespace)
        yield from _unequal("namespace", *namespaces)
        yield from _unequal("origin", str(first.request.origin), str(second.request.origin))
    if one.examined.scope.parts != other.examined.scope.parts:
        yield Difference("scope", list(one.examined.scope.words), list(other.examined.scope.words))
    actions = (first.asker.action, second.asker.action)
    yield from _unequal(
        "Onceproxy-Action", *(ABSENT if action is None else action.decode("latin-1") for action in actions)
    )
    if keys == (None, None):
        fingerprints = (one.examined.identity.fingerprint, other.examined.identity.fingerprint)
        yield from _unequal("fingerprint", *(fingerprint.hex() for fingerprint in fingerprints))


def _unequal(what: str, first: Any, second: Any) -> Iterator[Difference]:
    if first != second:
        yield Difference(what, first, second)


def _content(first: Explanation, second: Explanation) -> Iterator[Difference]:
    if first.examined is None or second.examined is None:
        return
    hide = _Numbered()
    one = readable(first.examined.form, hide, first.chosen.route.identity.secrets)
    other = readable(second.examined.form, hide, second.chosen.route.identity.secrets)
    for name, there in _raw(first.examined.form).items():
        if there == _raw(second.examined.form)[name]:
            continue
        if name == "body":
            found = list(_body(one["body"], other["body"]))
        else:
            found = list(_values(name, one[name], other[name]))
        yield from found or [Difference(name, "not shown", "not shown, and not the same")]


def _raw(form: CanonicalForm) -> dict[str, object]:
    names = ("version", "method", "origin", "path", "query", "headers", "body")
    return {name: getattr(form, name) for name in names}


def _body(first: dict[str, Any], second: dict[str, Any]) -> Iterator[Difference]:
    yield from _unequal("body read as", first["read_as"], second["read_as"])
    yield from _unequal("body's media type", first["media_type"], second["media_type"])
    if first["read_as"] == second["read_as"] == "json":
        yield from _values("body $", first["parts"][0], second["parts"][0])
    else:
        yield from _values("body", first["parts"], second["parts"])


def _values(what: str, first: Any, second: Any) -> Iterator[Difference]:
    """Yield in what two values differ, as deep inside as can be said."""
    if isinstance(first, dict) and isinstance(second, dict):
        for name in first | second:
            yield from _values(_member(what, name), first.get(name, ABSENT), second.get(name, ABSENT))
    elif isinstance(first, list) and isinstance(second, list):
        yield from _lists(what, first, second)
    elif first != second or type(first) is not type(second):  # true is not 1
        yield Difference(what, first, second)


def _lists(what: str, first: list[Any], second: list[Any]) -> Iterator[Difference]:
    if what in ("query", "body", "body[0]") and all(isinstance(item, str) for item in (*first, *second)):
        # Pairs, in a sorted order that says nothing.
        one, other = Counter(first), Counter(second)
        only, missing = list((one - other).elements()), list((other - one).elements())
        if only or missing:
            yield Difference(what.partition("[")[0], only or ABSENT, missing or ABSENT)
        elif first != second:  # of one name, whose order counts
            yield Difference(what.partition("[")[0], first, second)
    elif len(first) == len(second):
        for at, (one_item, other_item) in enumerate(zip(first, second, strict=True)):
            yield from _values(f"{what}[{at}]", one_item, other_item)
    else:
        yield Difference(what, first, second)


def _member(what: str, name: str) -> str:
    if what == "headers":
        return f"header {name}"
    return f"{what}.{name}" if name.isidentifier() else f"{what}[{json.dumps(name, ensure_ascii=False)}]"


class _Numbered(Hide):
    """Hides secrets, and says which are the same."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def __call__(self, value: Any) -> str:
        number = self._seen.setdefault(repr(value), len(self._seen) + 1)
        return f"(hidden {number})"


def _ignored(table: RouteTable, first: Asked, second: Asked) -> Iterator[str]:
    """Yield what the first request could have of the second and would be the same."""
    examined = first.explanation.examined
    if examined is None:
        return
    for what, request in _variants(first.request, second.request):
        found = explain(table, request, first.asker)
        same = found.chosen.route is first.explanation.chosen.route and found.examined is not None
        if same and found.examined is not None and found.examined.identity == examined.identity:
            yield what


def _variants(first: Request, second: Request) -> Iterator[tuple[str, Request]]:
    path, _, query = first.target.partition(b"?")
    _, mark, other_query = second.target.partition(b"?")
    if query != other_query:
        yield "query", replace(first, target=path + mark + other_query)
    for name in dict.fromkeys(name.lower() for name, _ in (*first.headers, *second.headers)):
        mine, theirs = (
            [value for key, value in request.headers if key.lower() == name] for request in (first, second)
        )
        if mine != theirs:
            kept = tuple(line for line in first.headers if line[0].lower() != name)
            headers = kept + tuple((name, value) for value in theirs)
            yield f"header {name.decode('latin-1')}", replace(first, headers=headers)
    if first.body.read() != second.body.read():
        yield "body", replace(first, body=second.body)
