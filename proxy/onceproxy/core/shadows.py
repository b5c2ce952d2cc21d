"""Routes that no request can reach, because an earlier one takes all that they are for."""

from __future__ import annotations

from collections.abc import Iterator

from onceproxy.core.globs import REST, Tokens, covers, path_tokens
from onceproxy.core.matching import Condition, HostGlob, Match
from onceproxy.core.routes import Route


def shadows(routes: tuple[Route, ...]) -> Iterator[tuple[Route, Route]]:
    """Yield each route that can't be reached, and the first one that takes its requests.

    Only where a single earlier route surely takes them all: several that do so together are not seen.
    """
    for at, route in enumerate(routes):
        for earlier in routes[:at]:
            if takes_all(earlier.match, route.match):
                yield route, earlier
                break


def takes_all(wide: Match, narrow: Match) -> bool:
    """Say whether ``wide`` surely matches every request that ``narrow`` does."""
    return (
        (not wide.methods or (bool(narrow.methods) and narrow.methods <= wide.methods))
        and (
            not wide.media_types
            or (bool(narrow.media_types) and set(narrow.media_types) <= set(wide.media_types))
        )
        and all(
            _implied(theirs, ours)
            for theirs, ours in (
                (wide.headers, narrow.headers),
                (wide.query, narrow.query),
                (wide.form, narrow.form),
                (wide.json, narrow.json),
            )
        )
        and _hosts_covered(wide.hosts, narrow.hosts)
        and _covered(
            [path_tokens(path.encode("ascii")) for path in wide.paths],
            [path_tokens(path.encode("ascii")) for path in narrow.paths],
        )
    )


def _implied(wide: tuple[Condition, ...], narrow: tuple[Condition, ...]) -> bool:
    """Say whether all conditions of ``wide`` follow from those of ``narrow``."""
    return all(
        any(theirs.name == ours.name and set(_typed(ours)) <= set(_typed(theirs)) for ours in narrow)
        for theirs in wide
    )


def _typed(condition: Condition) -> list[tuple[type, object]]:
    return [(type(value), value) for value in condition.values]  # to Python, True is 1


def _hosts_covered(wide: tuple[HostGlob, ...], narrow: tuple[HostGlob, ...]) -> bool:
    if not wide:
        return True
    return all(
        any(theirs.port in (None, ours.port) and covers(theirs.tokens, ours.tokens) for theirs in wide)
        for ours in narrow or (HostGlob((REST,)),)
    )


def _covered(wide: list[Tokens], narrow: list[Tokens]) -> bool:
    return not wide or all(any(covers(theirs, ours) for theirs in wide) for ours in narrow or [(REST,)])
