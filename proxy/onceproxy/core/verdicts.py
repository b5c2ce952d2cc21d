"""Whether a request is an action, where its method alone does not tell."""

from __future__ import annotations

from dataclasses import dataclass

from onceproxy.core.canonical import NotCanonical
from onceproxy.core.contents import Content
from onceproxy.core.graphql_requests import asked_for
from onceproxy.core.jsonrpc import HintsOf, calls, no_hints
from onceproxy.core.rules import BodyForm, BodyRules
from onceproxy.core.tool_lists import TOOL_LIST

PROTOCOLS = frozenset({BodyForm.GRAPHQL, BodyForm.JSONRPC})
"""The forms of a body that tell whether the request is an action."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is an action, and why: a short slug.

    ``harmless_twice``: whoever serves it says that doing it twice is like doing it once. ``lists_tools``: its
    answer may tell what tools there are.
    """

    action: bool
    why: str
    harmless_twice: bool = False
    lists_tools: bool = False


def judge(content: Content, rules: BodyRules, hints: HintsOf = no_hints) -> Verdict:
    """Say whether a request with such a body is an action. What can't be read may be one, and so it is."""
    try:
        if rules.form is BodyForm.GRAPHQL:
            return _graphql(content, rules)
        return _jsonrpc(content, rules, hints)
    except NotCanonical:
        return Verdict(True, f"no-{rules.form.value}")


def _graphql(content: Content, rules: BodyRules) -> Verdict:
    if all(one.reads for one in asked_for(content, rules.members)):
        return Verdict(False, "graphql-query")
    return Verdict(True, "graphql-mutation")


def _jsonrpc(content: Content, rules: BodyRules, hints: HintsOf) -> Verdict:
    found = calls(content, rules.jsonrpc, hints)
    actions = [call for call in found if call.action]
    if not actions:
        listing = any(call.method == TOOL_LIST for call in found)
        return Verdict(False, "jsonrpc-read", lists_tools=listing and rules.jsonrpc.trust_annotations)
    return Verdict(True, "jsonrpc-call", harmless_twice=all(call.idempotent for call in actions))
