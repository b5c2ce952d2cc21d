"""An explanation in words, as a tree, and as a document."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from onceproxy.config.units import format_duration
from onceproxy.core.explaining import Explanation, Former, Tried
from onceproxy.core.identity import Examined
from onceproxy.core.keys import describe
from onceproxy.core.masking import shown_url
from onceproxy.core.messages import Request
from onceproxy.core.policies import InDoubt, Policy
from onceproxy.core.readable import readable
from onceproxy.core.receipts import RequestId
from onceproxy.store.catalogue import LiveRow

WHY = {
    "guard": "the route's `guard` says so",
    "method": "by its method",
    "mode-off": "the mode is off",
    "no-key": "it has no key, and `missing: pass` lets it through",
    "graphql-query": "it asks GraphQL for queries only",
    "graphql-mutation": "it asks GraphQL for a mutation",
    "jsonrpc-read": "none of its JSON-RPC calls is an action",
    "jsonrpc-call": "it holds a JSON-RPC call that is an action",
    "no-graphql": "it can't be read as GraphQL, so it may be a mutation",
    "no-jsonrpc": "it can't be read as JSON-RPC, so it may be an action",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Other identities of the request, and what the database has: ``known`` by request_id, ``alike`` by URL.

    ``unavailable`` says why it was not asked.
    """

    formers: list[Former] = field(default_factory=list)
    known: dict[RequestId, LiveRow] = field(default_factory=dict)
    alike: tuple[LiveRow, ...] = ()
    unavailable: str | None = None


def document(request: Request, explanation: Explanation, found: Found) -> dict[str, Any]:
    """Return the explanation as plain values; the names are stable."""
    route = explanation.chosen.route
    members: dict[str, Any] = {
        "method": request.method,
        "url": shown_url(request, route.identity.secrets),
        "route": _tried(explanation.chosen),
        "nearly": [_tried(tried) for tried in explanation.nearly],
        "action": explanation.verdict.action,
        "why": explanation.verdict.why,
        "mode": route.policy.mode.value,
        "refused": explanation.refusal,
    }
    if explanation.examined is not None:
        members |= _identity(explanation.examined)
        members["key_from"] = describe(explanation.key_from) if explanation.key_from is not None else None
        members["policy"] = _policy(route.policy)
        members["receipt"] = _receipt(found.known.get(explanation.examined.identity.request_id))
        members["former"] = [
            {
                "rules": former.label,
                "route": former.route,
                **_identity(former.examined),
                "receipt": _receipt(found.known.get(former.examined.identity.request_id)),
            }
            for former in found.formers
        ]
        members["alike"] = [
            _receipt(row) | {"same_fingerprint": row.fingerprint == explanation.examined.identity.fingerprint}
            for row in found.alike
        ]
        members["receipts_unavailable"] = found.unavailable
    return members


def _tried(tried: Tried) -> dict[str, Any]:
    return {
        "name": tried.route.name,
        "from": tried.route.origin or "defaults",
        "conditions": [
            {"what": check.what, "wanted": check.wanted, "found": check.found, "met": check.met}
            for check in tried.checks
        ],
    }


def _identity(examined: Examined) -> dict[str, Any]:
    identity = examined.identity
    return {
        "request_id": str(identity.request_id),
        "kind": identity.kind.value,
        "key": identity.key.decode("ascii") if identity.key is not None else None,
        "scope": list(identity.scope),
        "fingerprint": identity.fingerprint.hex(),
        "canonical": readable(examined.form, secrets=examined.secrets),
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "in_doubt": policy.in_doubt.value,
        "upstream_window": format_duration(policy.upstream_window),
        "ttl": format_duration(policy.ttl),
        "after_ttl": policy.after_ttl.value,
        "duplicate": policy.duplicate.value,
        "wait": format_duration(policy.wait),
    }


def _receipt(row: LiveRow | None) -> dict[str, Any]:
    if row is None:
        return {}
    return {
        "request_id": str(row.request_id),
        "state": row.state.value,
        "attempt": row.attempt,
        "kind": row.kind.value,
        "route": row.route,
        "scope": list(row.scope),
        "canonical_version": row.canonical,
        "created_at": row.created_at,
    }


def print_tree(tree: Tree) -> None:
    """Write a tree to stdout."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # for grep: one line each
    console.print(tree)


def explanation_tree(request: Request, explanation: Explanation, found: Found) -> Tree:
    """Return the explanation for people."""
    route = explanation.chosen.route
    url = shown_url(request, route.identity.secrets)
    tree = Tree(Text(f"{request.method} {url}", style="bold"))
    _route(_branch(tree, f"route {route.name} ({route.origin or 'what no route takes'})"), explanation)
    why = WHY.get(explanation.verdict.why, explanation.verdict.why)
    if not explanation.verdict.action:
        _branch(tree, f"passes through unguarded: {why}")
    elif explanation.refusal is not None:
        _branch(tree, f"refused: {explanation.refusal}", "red")
    else:
        assert explanation.examined is not None
        _branch(tree, f"guarded: {why}; mode {route.policy.mode}")
        _identity_tree(tree, explanation, explanation.examined)
        _policy_tree(tree, route.policy)
        _receipts_tree(tree, explanation.examined, found)
    return tree


def _branch(tree: Tree, text: str, style: str = "") -> Tree:
    return tree.add(Text(text, style=style, overflow="fold"))


def _route(branch: Tree, explanation: Explanation) -> None:
    for check in explanation.chosen.checks:
        _branch(branch, f"{check.what}: {check.found} fits {check.wanted}")
    for tried in explanation.nearly:
        [check] = tried.unmet
        _branch(branch, f"not {tried.route.name}: {check.what} is {check.found}, not {check.wanted}", "dim")


def _identity_tree(tree: Tree, explanation: Explanation, examined: Examined) -> None:
    identity = examined.identity
    if identity.key is not None:
        where = describe(explanation.key_from) if explanation.key_from is not None else "?"
        _branch(tree, f"key {identity.key.decode('ascii')} from {where}")
    else:
        _branch(tree, "no key: it is known by its fingerprint")
    _branch(tree, f"scope {', '.join(identity.scope) or '(none: shared by all)'}")
    form = _branch(tree, f"fingerprint {identity.fingerprint.hex()}, made from")
    for name, value in readable(examined.form, secrets=examined.secrets).items():
        _branch(form, f"{name}: {_plain(value)}")
    _branch(tree, f"request_id {identity.request_id}", "bold")


def _policy_tree(tree: Tree, policy: Policy) -> None:
    text = f"in doubt: {policy.in_doubt}"
    if policy.in_doubt is InDoubt.RESEND:
        text += f" for {format_duration(policy.upstream_window)}"
    _branch(tree, f"{text}; answers copies for {format_duration(policy.ttl)}, then {policy.after_ttl}")


def _receipts_tree(tree: Tree, examined: Examined, found: Found) -> None:
    if found.unavailable is not None:
        _branch(tree, f"receipts: not looked up ({found.unavailable})", "dim")
    elif (row := found.known.get(examined.identity.request_id)) is not None:
        _branch(tree, f"receipt: {_row(row)}")
    else:
        _branch(tree, "receipt: none")
    for former in found.formers:
        row = found.known.get(former.examined.identity.request_id)
        if row is not None:
            branch = _branch(
                tree, f"A RECEIPT UNDER ANOTHER IDENTITY, by {former.label}: {_row(row)}", "bold red"
            )
            _side_by_side(branch, former.examined, examined)
    for row in found.alike:
        same = row.fingerprint == examined.identity.fingerprint
        what = "the same request with another key, scope or action" if same else "another request to this URL"
        _branch(tree, f"also: {_row(row)}, {what}", "" if same else "dim")


def _side_by_side(branch: Tree, old: Examined, new: Examined) -> None:
    """Show in what two identities of one request differ."""
    for what, one, other in _differences(old, new):
        _branch(branch, f"{what}: was {one}")
        _branch(branch, f"{' ' * len(what)}   is {other}")
    _branch(branch, "a copy that comes now does not find that receipt, and is sent; see docs/routes.md")


def _differences(old: Examined, new: Examined) -> Iterable[tuple[str, str, str]]:
    yield "request_id", str(old.identity.request_id), str(new.identity.request_id)
    for what, one, other in (
        ("kind", old.identity.kind, new.identity.kind),
        ("key", old.identity.key, new.identity.key),
        ("scope", old.identity.scope, new.identity.scope),
    ):
        if one != other:
            yield what, _plain(_shown(one)), _plain(_shown(other))
    then, now = (readable(one.form, secrets=one.secrets) for one in (old, new))
    for name, value in then.items():
        if value != now[name]:
            yield f"fingerprint's {name}", _plain(value), _plain(now[name])


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("ascii")
    return "none" if value is None or value == () else value


def _row(row: LiveRow) -> str:
    made = f"{row.created_at:%Y-%m-%d %H:%M:%S}"
    return f"{row.state}, attempt {row.attempt}, route {row.route}, of {made}: {row.request_id}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
