"""GraphQL over HTTP: what operations a request asks for, and whether any of them may be a mutation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onceproxy.core.canonical import NotCanonical, pack
from onceproxy.core.contents import Content
from onceproxy.core.graphql_documents import operation
from onceproxy.core.json_members import packed_members
from onceproxy.core.rules import Selection

GRAPHQL = "application/graphql"
"""The media type of a body that is the document itself."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One operation that a request asks for. ``reads``: it is surely no mutation."""

    reads: bool
    canonical: bytes


def asked_for(content: Content, members: Selection) -> list[Asked]:
    """Return the operations of a request in their order; there is more than one in a batch.

    One that names a stored document instead of holding it may be a mutation, known by all that it says.
    ``members`` are JSONPaths into the object of each operation.

    Raises:
        NotCanonical: the body is no request of GraphQL, or its document can't be read.
    """
    if content.kind == GRAPHQL:
        return [_document(content)]
    if content.json is None:
        raise NotCanonical("no JSON")
    document = content.json.document
    batch = document if isinstance(document, list) else [document]
    if not batch or not all(isinstance(one, dict) for one in batch):
        raise NotCanonical("no request of GraphQL")
    return [_one(one, members) for one in batch]


def _document(content: Content) -> Asked:
    try:
        text = (content.decoded or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise NotCanonical("no UTF-8") from None
    found = operation(text, None)
    return Asked(found.reads, found.canonical)


def _one(request: dict[str, Any], members: Selection) -> Asked:
    document, name = request.get("query"), request.get("operationName")
    if document is None:
        if len(request) == 0:
            raise NotCanonical("an empty request")
        return Asked(False, pack([b"stored", packed_members(request, members)]))
    if not isinstance(document, str) or not (name is None or isinstance(name, str)):
        raise NotCanonical("a query or an operationName that is no string")
    found = operation(document, name)
    rest = {key: value for key, value in request.items() if key not in ("query", "operationName")}
    if rest.get("variables") in (None, {}):
        rest.pop("variables", None)  # none, null and empty say the same
    extensions = rest.pop("extensions", None)
    if isinstance(extensions, dict):
        # The hash of a document that is there says nothing more.
        extensions = {key: value for key, value in extensions.items() if key != "persistedQuery"}
    if extensions:
        rest["extensions"] = extensions
    return Asked(found.reads, pack([b"document", found.canonical, packed_members(rest, members)]))
