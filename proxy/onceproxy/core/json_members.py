"""Which members of a JSON document count: chosen by JSONPath (RFC 9535)."""

from __future__ import annotations

from typing import Any

import jsonpath_rfc9535
from jsonpath_rfc9535 import JSONPathNode

from onceproxy.core.canonical import NotCanonical, pack
from onceproxy.core.json_text import canonical_json
from onceproxy.core.jsonpaths import compile_path
from onceproxy.core.rules import Selection

_Member = tuple[int, str | int]  # the id() of the container, and the name or index in it


def select_nodes(path: str, document: Any) -> list[JSONPathNode]:
    """Return what a path selects.

    Raises:
        BadJsonPath: it is no JSONPath.
        NotCanonical: the path goes deeper than can be followed.
    """
    try:
        return list(compile_path(path).find(document))
    except (RecursionError, jsonpath_rfc9535.JSONPathRecursionError):
        raise NotCanonical(f"nested too deep for {path}") from None


def canonical_members(document: Any, rules: Selection) -> tuple[str, bytes]:
    """Return how the document was read (``json`` whole, ``json-members`` in parts) and its canonical bytes.

    A path of ``include`` that selects nothing leaves the whole document, without what is excluded: what is
    left could be the same for requests that are not. The root itself can't be excluded.

    Raises:
        NotCanonical: the document has no safe form.
    """
    if not rules.exclude and not rules.include:
        return "json", canonical_json(document)
    excluded = frozenset(
        member
        for path in rules.exclude
        for node in select_nodes(path, document)
        if (member := _member(node)) is not None
    )
    selected = [select_nodes(path, document) for path in rules.include or ()]
    if selected and all(selected):
        parts = {
            pack([canonical_json(list(node.location)), canonical_json(node.value, excluded)])
            for nodes in selected
            for node in nodes
            if not _is_excluded(node, excluded)
        }
        if parts:
            return "json-members", pack(sorted(parts))
    return "json", canonical_json(document, excluded)


def packed_members(document: Any, rules: Selection) -> bytes:
    """Return what ``canonical_members`` does as one piece.

    Raises:
        NotCanonical: the document has no safe form.
    """
    read_as, canonical = canonical_members(document, rules)
    return pack([read_as.encode("ascii"), canonical])


def _member(node: JSONPathNode) -> _Member | None:
    return None if node.parent is None else (id(node.parent.value), node.location[-1])


def _is_excluded(node: JSONPathNode, excluded: frozenset[_Member]) -> bool:
    while node.parent is not None:
        if _member(node) in excluded:
            return True
        node = node.parent
    return False
