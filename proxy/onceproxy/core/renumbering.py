"""The answer in a receipt, made the answer to a copy: with the ids of JSON-RPC that the copy's calls have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from onceproxy.core.canonical import NotCanonical, media_type
from onceproxy.core.codings import decode
from onceproxy.core.contents import Content, content_codings, is_json
from onceproxy.core.event_streams import EVENT_STREAM, renumbered
from onceproxy.core.hygiene import ABOUT_THE_BYTES
from onceproxy.core.jsonrpc_ids import Id, Renumbering, call_ids, renumbering, write_ids
from onceproxy.core.messages import BytesBody, Request, Response, header_values

KEPT_IDS = b"Onceproxy-Call-Ids"
"""A line of a stored response: the ids of the calls in a batch that was sent. Clients never see it."""


@dataclass(frozen=True, slots=True)
class CallIds:
    """The ids of one copy's calls, as they are written."""

    ids: tuple[Id, ...]

    @property
    def kept(self) -> tuple[tuple[bytes, bytes], ...]:
        """The line that is to be kept with the answer; one call needs none."""
        return ((KEPT_IDS, write_ids(self.ids)),) if len(self.ids) > 1 else ()

    def answer(self, stored: Response) -> Response:
        """Return a stored answer with the ids of this copy; as it is where it has them already."""
        first = header_values(stored.headers, KEPT_IDS.decode("ascii"))
        numbers = renumbering(self.ids, first[-1] if first else None)
        codings = content_codings(stored.headers)
        kind = media_type(stored.headers)
        if numbers is None or not (kind == EVENT_STREAM or is_json(kind)):
            return stored
        try:
            before = decode(stored.body.read(), codings)
        except NotCanonical:
            return stored
        after = _renumbered(before, kind, numbers)
        if after == before:
            return stored
        stale = ABOUT_THE_BYTES | {b"content-encoding"}
        headers = tuple(line for line in stored.headers if line[0].lower() not in stale)
        return replace(stored, headers=headers, body=BytesBody(after))


def ids_of(request: Request) -> CallIds:
    """Return the ids of a request's calls; none where it is no JSON-RPC."""
    decoded = Content(request).decoded
    try:
        return CallIds(call_ids(decoded) if decoded is not None else ())
    except NotCanonical:
        return CallIds(())


def _renumbered(body: bytes, kind: str, numbers: Renumbering) -> bytes:
    if kind == EVENT_STREAM:
        return b"".join(renumbered([body], numbers))
    try:
        return numbers.apply(body.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return body
