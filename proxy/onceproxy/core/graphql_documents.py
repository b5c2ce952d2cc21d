"""GraphQL documents: the operation that a request means, in a form that does not depend on how it is written.

Formatting, comments, the order of definitions, and what the operation does not use make no difference.
Nor does the order of arguments, of variables and of the members of an input object, to which GraphQL gives no
meaning (GraphQL §2.6, §2.9.8). The order of fields stays: mutations run in it (§6.2.2). So does that of
directives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import GraphQLError, OperationType, parse
from graphql.language import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    Node,
    OperationDefinitionNode,
)

from onceproxy.core.canonical import NotCanonical, pack

MAX_DOCUMENT = 256 * 1024  # characters
MAX_TOKENS = 20_000  # parsing them takes about 0.3 s
MAX_DEPTH = 160
"""Nodes inside one another: some 80 selection sets. Far below what the parser has stack for, so that the
form of a document does not depend on where it is read."""

_CACHED = 16 * 1024  # characters; programs send few documents, again and again
_NO_MEANING = frozenset({"loc", "description", "block"})
_UNORDERED = frozenset({"arguments", "variable_definitions", "fields"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation and the fragments it uses. ``reads``: it is no mutation."""

    reads: bool
    canonical: bytes


def operation(document: str, name: str | None) -> Operation:
    """Return the operation of a document that ``name`` chooses (GraphQL §6.1).

    Raises:
        NotCanonical: the document is not valid, too large or nested too deep, or has no such operation.
    """
    if len(document) > _CACHED:
        return _operation(document, name)
    return _cached(document, name)


def _operation(document: str, name: str | None) -> Operation:
    if len(document) > MAX_DOCUMENT:
        raise NotCanonical(f"a document of more than {MAX_DOCUMENT} characters")
    try:
        tree = parse(document, no_location=True, max_tokens=MAX_TOKENS)
    except (GraphQLError, RecursionError) as error:
        raise NotCanonical(str(error).partition("\n")[0]) from None
    chosen = _chosen(tree, name)
    fragments = _fragments(tree)
    used = {name: _form(fragments[name]) for name in _used(chosen, fragments)}
    canonical = pack([_form(chosen), *(used[name] for name in sorted(used))])
    return Operation(chosen.operation is not OperationType.MUTATION, canonical)


_cached = lru_cache(maxsize=512)(_operation)


def _chosen(tree: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in tree.definitions if isinstance(node, OperationDefinitionNode)]
    # An empty name is none to some servers and a wrong one to others: it can't choose among several.
    found = [one for one in operations if not name or (one.name is not None and one.name.value == name)]
    if len(found) != 1:
        raise NotCanonical(f"{len(found)} operations of the name that is asked for")
    return found[0]


def _fragments(tree: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    fragments: dict[str, FragmentDefinitionNode] = {}
    for node in tree.definitions:
        if isinstance(node, FragmentDefinitionNode):
            if node.name.value in fragments:
                raise NotCanonical("a fragment is there twice")
            fragments[node.name.value] = node
    return fragments


def _used(start: Node, fragments: dict[str, FragmentDefinitionNode]) -> set[str]:
    """Return the names of the fragments that are reached from ``start``; each is looked into once."""
    used: set[str] = set()
    waiting = [start]
    while waiting:
        for name in _spreads(waiting.pop()):
            if name not in fragments:
                raise NotCanonical("a fragment is missing")
            if name not in used:
                used.add(name)
                waiting.append(fragments[name])
    return used


def _spreads(start: Node) -> Iterator[str]:
    waiting: list[Any] = [start]
    while waiting:
        node = waiting.pop()
        if isinstance(node, FragmentSpreadNode):
            yield node.name.value
        if isinstance(node, Node):
            waiting.extend(getattr(node, key) for key in node.keys if key not in _NO_MEANING)
        elif isinstance(node, list | tuple):
            waiting.extend(node)


def _form(node: Node, depth: int = 0) -> bytes:
    """Return a node's bytes: its kind, and its members in the order of their names."""
    if depth > MAX_DEPTH:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH} nodes")
    parts = [node.kind.encode("ascii")]
    for key in sorted(set(node.keys) - _NO_MEANING):
        value = getattr(node, key)
        if isinstance(value, Node):
            parts += [key.encode("ascii"), _form(value, depth + 1)]
        elif isinstance(value, list | tuple):
            forms = [_form(one, depth + 1) for one in value]
            if forms:  # one that is empty is written like one that is left out
                parts += [key.encode("ascii"), pack(sorted(forms) if key in _UNORDERED else forms)]
        elif isinstance(value, OperationType):
            parts += [key.encode("ascii"), value.value.encode("ascii")]
        elif value is not None:
            parts += [key.encode("ascii"), str(value).encode("utf-8", "surrogatepass")]
    return pack(parts)
