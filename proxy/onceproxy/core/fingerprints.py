"""The fingerprint: the digest of what a request asks for, in canonical form.

How a body is read is in one table, by ``BodyForm``. A reader that can't make sense of a body gives it up, and
it is read by its media type, or in the end compared by its bytes: too fine at worst, never too coarse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from onceproxy.core.canonical import LENGTH, NotCanonical, canonical_escapes, pack
from onceproxy.core.contents import MULTIPART_FORM, Content, is_json
from onceproxy.core.graphql_requests import asked_for
from onceproxy.core.json_members import canonical_members
from onceproxy.core.jsonrpc import canonical_calls
from onceproxy.core.messages import Request, has_none, header_values
from onceproxy.core.pairs import array_or_name, chosen_names, ordered, split_pairs
from onceproxy.core.rules import ALL, BodyForm, BodyRules, FingerprintRules, Selection

TELLING = frozenset(
    {
        # which operation it is, where all have one URL
        *("soapaction", "x-amz-target", "x-http-method", "x-http-method-override", "x-method-override"),
        # what it is done with: WebDAV (RFC 4918 §10), copies in object stores
        *("depth", "destination", "overwrite", "x-amz-copy-source", "x-amz-copy-source-range"),
        *("x-ms-copy-source", "x-goog-copy-source"),
        # which part of a whole the body is: of one file, two pieces may well be the same bytes
        *("content-range", "upload-offset"),
        # under which condition (RFC 9110 §13): after a 412, the same with another one is another try to do it
        *("if-match", "if-none-match", "if-unmodified-since"),
    }
)
"""Headers that always count where they are there: without them, different things that are asked for would be
one action."""

SMALL = 16 * 1024  # bytes of a body that are copied sooner than digested piece by piece

_TELLING = frozenset(name.encode("ascii") for name in TELLING)


@dataclass(frozen=True, slots=True)
class CanonicalBody:
    """How a body was read (a short word), its media type, and its canonical parts."""

    read_as: str
    kind: str
    parts: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class CanonicalForm:
    """What a fingerprint is made from. ``query`` is in pairs; ``headers`` are the chosen ones, packed."""

    version: int
    method: str
    origin: str
    path: bytes
    query: tuple[bytes, ...]
    headers: tuple[bytes, ...]
    body: CanonicalBody

    @property
    def digest(self) -> bytes:
        """The fingerprint: the SHA-256 over all parts packed, that of the body being packed itself."""
        body = (self.body.read_as.encode("ascii"), self.body.kind.encode("latin-1"), *self.body.parts)
        before = (
            b"fingerprint/%d" % self.version,
            self.method.encode("ascii"),
            self.origin.encode("ascii"),
            self.path,
            pack(self.query),
        )
        if sum(map(len, body)) <= SMALL:
            return hashlib.sha256(pack((*before, pack(body), *self.headers))).digest()
        digest = hashlib.sha256(pack(before))
        # As pack(body), without the copies: a body may be large.
        digest.update(sum(LENGTH + len(part) for part in body).to_bytes(LENGTH, "big"))
        for part in body:
            digest.update(len(part).to_bytes(LENGTH, "big"))
            digest.update(part)
        digest.update(pack(self.headers))
        return digest.digest()


def canonical_form(
    request: Request, content: Content, rules: FingerprintRules, version: int
) -> CanonicalForm:
    """Return the canonical form of ``request`` under the rules of its route."""
    path, _, query = request.target.partition(b"?")
    return CanonicalForm(
        version=version,
        method=request.method,
        origin=str(request.origin),
        path=canonical_escapes(path),
        query=_query(query, rules.query),
        headers=_headers(request, rules),
        body=_body(content, rules.body),
    )


def _headers(request: Request, rules: FingerprintRules) -> tuple[bytes, ...]:
    none_tells = has_none(request.headers, _TELLING)
    if none_tells and not rules.headers:
        return ()
    chosen = {name.lower() for name in rules.headers}
    if not none_tells:
        chosen |= TELLING & {name.lower().decode("latin-1") for name, _ in request.headers}
    return tuple(
        pack([name.encode("ascii"), *(value.strip() for value in header_values(request.headers, name))])
        for name in sorted(chosen)
    )


def _query(query: bytes, rules: Selection) -> tuple[bytes, ...]:
    if not query or rules.include == ():
        return ()
    pairs = split_pairs(query)
    chosen = chosen_names((pair.name for pair in pairs), rules)
    return ordered(pair for pair in pairs if pair.name in chosen)


def _body(content: Content, rules: BodyRules) -> CanonicalBody:
    if rules.form is BodyForm.NONE:
        return CanonicalBody("none", content.kind)
    try:
        return _READERS[rules.form](content, rules)
    except NotCanonical:
        pass
    try:
        return _by_media_type(content)
    except NotCanonical:
        return _bytes(content)


def _by_media_type(content: Content) -> CanonicalBody:
    if is_json(content.kind):
        return _json(content, ALL)
    if content.kind.startswith("multipart/") and content.kind != MULTIPART_FORM:
        return _multipart(content)
    return _form(content, ALL)


def _json(content: Content, members: Selection) -> CanonicalBody:
    if content.json is None:
        raise NotCanonical("no JSON, or none that all parsers read the same")
    read_as, canonical = canonical_members(content.json.document, members)
    return CanonicalBody(read_as, content.kind, (canonical,))


def _form(content: Content, members: Selection) -> CanonicalBody:
    if content.kind == MULTIPART_FORM:
        return _multipart_form(content, members)
    if content.pairs is None:
        raise NotCanonical("no form")
    chosen = chosen_names((pair.name for pair in content.pairs), members)
    pairs = ordered(pair for pair in content.pairs if pair.name in chosen)
    return CanonicalBody("form", content.kind, (pack(pairs),))


def _multipart_form(content: Content, members: Selection) -> CanonicalBody:
    named = [(part.name, part) for part in content.parts or () if part.name is not None]
    if content.parts is None or len(named) != len(content.parts):
        raise NotCanonical("no multipart form, or a part without a name")
    chosen = chosen_names((name for name, _ in named), members)
    # Parts of one name, and of one array (see pairs.ordered), keep their order.
    kept = sorted(
        ((name, part) for name, part in named if name in chosen), key=lambda pair: array_or_name(pair[0])
    )
    return CanonicalBody("multipart", content.kind, tuple(part.canonical for _, part in kept))


def _multipart(content: Content) -> CanonicalBody:
    """Read a multipart body that is no form: the order of its parts means something."""
    if content.parts is None:
        raise NotCanonical("no multipart body")
    return CanonicalBody("multipart", content.kind, tuple(part.canonical for part in content.parts))


def _bytes(content: Content) -> CanonicalBody:
    if content.decoded is None:
        return CanonicalBody("bytes", content.kind, (pack(content.codings), content.raw))
    return CanonicalBody("bytes", content.kind, (b"", content.decoded))


def _graphql(content: Content, rules: BodyRules) -> CanonicalBody:
    operations = asked_for(content, rules.members)
    return CanonicalBody("graphql", content.kind, tuple(one.canonical for one in operations))


def _jsonrpc(content: Content, rules: BodyRules) -> CanonicalBody:
    return CanonicalBody("jsonrpc", content.kind, canonical_calls(content, rules))


_READERS: dict[BodyForm, Callable[[Content, BodyRules], CanonicalBody]] = {
    BodyForm.AUTO: lambda content, _: _by_media_type(content),
    BodyForm.JSON: lambda content, rules: _json(content, rules.members),
    BodyForm.FORM: lambda content, rules: _form(content, rules.members),
    BodyForm.GRAPHQL: _graphql,
    BodyForm.JSONRPC: _jsonrpc,
}
