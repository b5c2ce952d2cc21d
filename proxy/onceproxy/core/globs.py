"""Globs for hosts, paths and texts, and an index that finds those which match in one walk.

A host is read as its labels from the last one on, a path as its segments. In both, ``*`` is one label or
segment, or a part of one (``api-*``, ``v*``), and ``**`` any number of them, none included: ``*.x.com`` is
``a.x.com`` and not ``x.com``; ``/v1/**`` is ``/v1`` and all below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from onceproxy.core.canonical import canonical_escapes

ONE = "*"
REST = "**"

_HOST_ENDS = "/"  # no label and no segment holds a slash

Tokens = tuple[str, ...]
T = TypeVar("T")


def host_tokens(host: str) -> Tokens:
    """Return a host or a glob of hosts as its labels from the last one on, in lower case."""
    return tuple(reversed(host.lower().removesuffix(".").split(".")))


def path_tokens(path: bytes) -> Tokens:
    """Return a path, or a glob of paths, as its segments, needless escapes taken off (RFC 3986 §6.2.2)."""
    return tuple(canonical_escapes(path).decode("latin-1").removeprefix("/").split("/"))


def tls_globs_fit(globs: Iterable[str], host: str) -> bool:
    """Say whether one of the host globs of ``tls`` means ``host``, which is in lower case.

    There ``*`` stands for any characters, dots too, and ``?`` for one.
    """
    host = host.removesuffix(".")
    return any(fnmatchcase(host, glob.lower().removesuffix(".")) for glob in globs)


@dataclass(frozen=True, slots=True)
class Text:
    """A glob over a whole text: ``*`` stands for any characters, none included."""

    glob: str

    def matches(self, text: str) -> bool:
        """Say whether all of ``text`` matches, in one pass: each part is looked for behind the one before."""
        first, *parts = self.glob.split("*")
        if not parts:
            return text == first
        last = parts.pop()
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in parts:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


def token_matches(pattern: str, token: str) -> bool:
    """Say whether one label or segment matches a pattern other than ``**``."""
    if pattern == ONE:
        return token != ""
    return Text(pattern).matches(token)


def tokens_match(pattern: Tokens, tokens: Tokens) -> bool:
    """Say whether a host's or a path's tokens match a glob's."""
    index: Index[None] = Index()
    index.add(pattern, (), None)
    return any(True for _ in index.find(tokens, ()))


def covers(wide: Tokens, narrow: Tokens) -> bool:
    """Say whether ``wide`` surely matches all that ``narrow`` does; where it is hard to tell, no."""
    if not wide:
        return not narrow
    if wide[0] == REST:
        return covers(wide[1:], narrow) or (bool(narrow) and covers(wide, narrow[1:]))
    if not narrow or narrow[0] == REST:
        return False
    one, other = wide[0], narrow[0]
    fits = one in (other, ONE) if "*" in other else token_matches(one, other)
    return fits and covers(wide[1:], narrow[1:])


@dataclass(slots=True)
class _Node(Generic[T]):
    """What may come next. ``again``: the node takes any token and stays, which is what ``**`` does."""

    again: bool = False
    plain: dict[str, _Node[T]] = field(default_factory=dict)
    globs: dict[str, _Node[T]] = field(default_factory=dict)
    rest: _Node[T] | None = None
    ends: list[T] = field(default_factory=list)


class Index(Generic[T]):
    """Values by globs of host and path. Finding takes the time that the tokens take, not the globs."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, host: Tokens, path: Tokens, value: T) -> None:
        """Put a value under a glob of hosts and one of paths."""
        node = self._root
        for token in (*host, _HOST_ENDS, *path):
            if token == REST:
                node.rest = node.rest or _Node(again=True)
                node = node.rest
            else:
                branches = node.globs if "*" in token else node.plain
                node = branches.setdefault(token, _Node())
        node.ends.append(value)

    def find(self, host: Tokens, path: Tokens) -> Iterator[T]:
        """Yield the values whose globs match, in no order, perhaps more than once."""
        active = _with_rest([self._root])
        for token in (*host, _HOST_ENDS, *path):
            active = _with_rest(list(_after(active, token)))
            if not active:
                return
        for node in active:
            yield from node.ends


def _after(active: Iterable[_Node[T]], token: str) -> Iterator[_Node[T]]:
    for node in active:
        if token == _HOST_ENDS:
            if token in node.plain:
                yield node.plain[token]
            continue
        if node.again:
            yield node
        if token in node.plain:
            yield node.plain[token]
        for pattern, after in node.globs.items():
            if token_matches(pattern, token):
                yield after


def _with_rest(nodes: list[_Node[T]]) -> list[_Node[T]]:
    """Add the nodes that are reached by a ``**`` which stands for nothing; each once."""
    reached = {id(node): node for node in nodes}
    for node in nodes:
        further = node.rest
        while further is not None and id(further) not in reached:
            reached[id(further)] = further
            further = further.rest
    return list(reached.values())
