"""JSONPath (RFC 9535): queries that are compiled once, and values they select."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonpath_rfc9535


class TooDeep(ValueError):
    """A document nests too deep for a path."""


class BadJsonPath(ValueError):
    """A text is no JSONPath; it says what is wrong and what would be right."""


@lru_cache(maxsize=4096)
def compile_path(path: str) -> jsonpath_rfc9535.JSONPathQuery:
    """Return the query that ``path`` names.

    Raises:
        BadJsonPath: it is none.
    """
    try:
        return jsonpath_rfc9535.compile(path)
    except jsonpath_rfc9535.JSONPathError as error:
        what = str(error).partition(", line ")[0]
        raise BadJsonPath(
            f"it must be a JSONPath (RFC 9535), as in $.order.id or $.items[*].id ({what})"
        ) from (None)


def select(path: str, document: Any) -> list[Any]:
    """Return all values that a path selects in a document.

    Raises:
        TooDeep: the document nests too deep to look through.
    """
    try:
        return list(compile_path(path).find(document).values())
    except (RecursionError, jsonpath_rfc9535.JSONPathRecursionError):
        raise TooDeep(f"the document nests too deep for {path}") from None
