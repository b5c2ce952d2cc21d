"""A request's body as identity reads it: decoded once, parsed once, whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onceproxy.core.canonical import NotCanonical, media_type
from onceproxy.core.codings import decode
from onceproxy.core.json_text import parse_json
from onceproxy.core.lazily import once
from onceproxy.core.messages import RawHeaders, Request, has_none, header_values
from onceproxy.core.multipart import Part, split_parts
from onceproxy.core.pairs import Pair, split_pairs

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART_FORM = "multipart/form-data"
_CODING = frozenset({b"content-encoding"})


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON document; its value may well be None."""

    document: Any


def is_json(kind: str) -> bool:
    """Say whether a media type is that of JSON (RFC 6839 §3.1)."""
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def content_codings(headers: RawHeaders) -> list[bytes]:
    """Return the content codings in the order in which they were applied, in lower case."""
    listed = header_values(headers, "content-encoding")
    codings = [coding.strip().lower() for coding in b",".join(listed).split(b",")] if listed else []
    return [coding for coding in codings if coding not in (b"", b"identity")]


def may_be_coded(headers: RawHeaders) -> bool:
    """Say whether there is anything about content codings in the headers."""
    return not has_none(headers, _CODING)


class Content:
    """The body of one request, read as it is asked for. What can't be read is None."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.kind = media_type(request.headers)
        """The media type, or empty."""
        self.codings = content_codings(request.headers)
        """The content codings in the order in which they were applied."""

    @once
    def raw(self) -> bytes:
        """The bytes as they are sent."""
        return self._request.body.read()

    @once
    def decoded(self) -> bytes | None:
        """The bytes without their content codings."""
        if not self.codings:
            return self.raw
        try:
            return decode(self.raw, self.codings)
        except NotCanonical:
            return None

    @once
    def json(self) -> Parsed | None:
        """The body as JSON, whatever its media type says."""
        if self.decoded is None:
            return None
        try:
            return Parsed(parse_json(self.decoded))
        except NotCanonical:
            return None

    @once
    def pairs(self) -> list[Pair] | None:
        """The pairs of a urlencoded form."""
        if self.decoded is None or self.kind != URLENCODED:
            return None
        if self.decoded.lstrip()[:1] in (b"{", b"["):
            return None  # JSON under the media type that curl gives it: an & in a string separates nothing
        try:
            return split_pairs(self.decoded)
        except NotCanonical:
            return None

    @once
    def parts(self) -> list[Part] | None:
        """The parts of a multipart body."""
        if self.decoded is None or not self.kind.startswith("multipart/"):
            return None
        try:
            return split_parts(header_values(self._request.headers, "content-type")[0], self.decoded)
        except NotCanonical:
            return None
