"""The ids of JSON-RPC: no part of what a call asks for, but what a client knows the answer by.

A client that asks again uses new ids. So the answer that a receipt holds is changed on its way out in this
one thing: the id of each response message becomes that of the copy which asked. Requests and notifications
that a server sends along keep theirs, and every other byte stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from onceproxy.core.canonical import NotCanonical
from onceproxy.core.json_text import canonical_json, parse_json
from onceproxy.core.jsonrpc_text import written_messages

Id = str
"""An id as it is written in JSON, quotes and all."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A piece of a text, and what is to stand in its place."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Renumbering:
    """What takes the place of an id. ``only``: the id of the one call there is. ``others``: by the old id."""

    only: Id | None = None
    others: Mapping[bytes, Id] = field(default_factory=dict)

    def edits(self, text: str) -> list[Edit]:
        """Return what is to be changed in a message or batch, in order; nothing where it is no JSON-RPC."""
        try:
            messages = written_messages(text)
        except (ValueError, RecursionError):
            return []
        found = []
        for message in messages:
            written = message.get("id")
            if written is None or written.value is None or not _is_response(message):
                continue
            old = text[written.start : written.end]
            new = self.only if self.only is not None else self.others.get(_canonical(old), old)
            if new != old:
                found.append(Edit(written.start, written.end, new))
        return found

    def apply(self, text: str) -> str:
        """Return a message or batch with its ids changed."""
        for edit in reversed(self.edits(text)):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return text


def call_ids(body: bytes) -> tuple[Id, ...]:
    """Return the ids of the calls in a request, in order, as they are written.

    A call without an id, or with null, wants no answer and is left out.

    Raises:
        NotCanonical: it is no JSON-RPC, an id is no id, or two calls have the same.
    """
    try:
        text = body.decode("utf-8")
        messages = written_messages(text)
    except (ValueError, RecursionError):
        raise NotCanonical("no JSON-RPC") from None
    written = [message["id"] for message in messages if "method" in message and "id" in message]
    if any(isinstance(one.value, bool | dict | list) for one in written):
        raise NotCanonical("an id is neither a string nor a number")
    ids = tuple(text[one.start : one.end] for one in written if one.value is not None)
    if len({_canonical(one) for one in ids}) != len(ids):
        raise NotCanonical("an id is there twice")
    return ids


def write_ids(ids: tuple[Id, ...]) -> bytes:
    """Return ids as a line of visible ASCII, to be kept with a receipt."""
    texts = (json.dumps(json.loads(one)) if one.startswith('"') else one for one in ids)
    return b"[%s]" % ",".join(texts).encode("ascii")


def renumbering(ids: tuple[Id, ...], first: bytes | None) -> Renumbering | None:
    """Return how the answer to a first copy becomes that to the copy whose call ids are ``ids``.

    ``first`` is what ``write_ids`` made of the first copy's; one call needs none. None: it can't be said.
    """
    if len(ids) == 1:
        return Renumbering(only=ids[0])
    try:
        before = [canonical_json(one) for one in parse_json(first or b"[]")]
    except NotCanonical:
        return None
    if len(before) != len(ids):
        return None
    return Renumbering(others=dict(zip(before, ids, strict=True)))


def _is_response(message: Mapping[str, object]) -> bool:
    return "method" not in message and ("result" in message or "error" in message)


def _canonical(written: Id) -> bytes:
    try:
        return canonical_json(parse_json(written.encode("utf-8", "surrogatepass")))
    except NotCanonical:
        return written.encode("utf-8", "surrogatepass")
