"""A comparison of two requests in words, as a tree, and as a document."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text
from rich.tree import Tree

from onceproxy.cli.explained import WHY
from onceproxy.core.comparing import ABSENT, Asked, Comparison, Difference, Relation
from onceproxy.core.explaining import Explanation
from onceproxy.core.masking import shown_url
from onceproxy.core.rules import FreshKey

_RELATIONS = {
    Relation.COPY: "ONE ACTION: the second is a copy of the first, and is answered from its receipt",
    Relation.KEY_REUSED: "ONE KEY, TWO REQUESTS: the second is refused as key-reused",
    Relation.OTHER: "TWO ACTIONS: both are sent",
    Relation.NOT_GUARDED: "NOT COMPARED: only what is guarded has an identity",
}


def comparison_document(second: Asked, comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain values; the names are stable. What one lacks is left out."""
    identity = second.explanation.examined
    return {
        "method": second.request.method,
        "url": _url(second),
        "route": second.explanation.chosen.route.name,
        "action": second.explanation.verdict.action,
        "why": second.explanation.verdict.why,
        "refused": second.explanation.refusal,
        "request_id": str(identity.identity.request_id) if identity is not None else None,
        "relation": comparison.relation.value,
        "identity": [_difference(one) for one in comparison.identity],
        "content": [_difference(one) for one in comparison.content],
        "ignored": list(comparison.ignored),
    }


def _url(asked: Asked) -> str:
    return shown_url(asked.request, asked.explanation.chosen.route.identity.secrets)


def _difference(one: Difference) -> dict[str, Any]:
    sides = (("first", one.first), ("second", one.second))
    return {"what": one.what} | {name: value for name, value in sides if value is not ABSENT}


def comparison_tree(first: Asked, second: Asked, comparison: Comparison) -> Tree:
    """Return the comparison for people."""
    tree = Tree(Text(f"against {second.request.method} {_url(second)}", style="bold"))
    tree.add(Text(_RELATIONS[comparison.relation], style="bold"))
    for which, asked in (("first", first), ("second", second)):
        if asked.explanation.examined is None:
            tree.add(Text(f"the {which} {_not_guarded(asked.explanation)}"))
    for title, differences in (
        ("the identities differ in", comparison.identity),
        (_content_title(comparison), comparison.content),
    ):
        if differences:
            branch = tree.add(Text(title))
            for one in differences:
                _add(branch, one)
    if comparison.ignored:
        tree.add(Text(f"differs as well, and does not count: {', '.join(comparison.ignored)}", style="dim"))
    if _may_look_repeated(second.explanation, comparison):
        tree.add(Text("they ask for the same under two keys: the route's `fresh_key` looks for that"))
    return tree


def _add(branch: Tree, one: Difference) -> None:
    branch.add(Text(f"{one.what}: {_plain(one.first)} in the first", overflow="fold"))
    branch.add(Text(f"{' ' * len(one.what)}  {_plain(one.second)} in the second", overflow="fold"))


def _plain(value: Any) -> str:
    if value is ABSENT or value == []:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _content_title(comparison: Comparison) -> str:
    if any(one.what == "fingerprint" for one in comparison.identity):
        return "the fingerprints, because of"
    return "the fingerprints differ as well, because of"


def _not_guarded(explanation: Explanation) -> str:
    if explanation.refusal is not None:
        return f"is refused: {explanation.refusal}"
    return f"passes through unguarded: {WHY.get(explanation.verdict.why, explanation.verdict.why)}"


def _may_look_repeated(explanation: Explanation, comparison: Comparison) -> bool:
    """Say whether only the key is another one, and the route minds."""
    only_key = [one.what for one in comparison.identity] == ["key"] and not comparison.content
    return only_key and explanation.chosen.route.identity.fresh_key is not FreshKey.ALLOW
