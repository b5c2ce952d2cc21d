"""JSON-RPC 2.0, and MCP in it: which messages of a request are actions, and what of them counts.

Out of the identity are the ids, and ``params._meta``, which MCP keeps for what is said about a message:
progress tokens, trace contexts (MCP, Basic § _meta).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onceproxy.core.canonical import NotCanonical, pack
from onceproxy.core.contents import Content
from onceproxy.core.globs import Text
from onceproxy.core.json_members import packed_members
from onceproxy.core.jsonrpc_ids import call_ids
from onceproxy.core.rules import ALL, TOOL_CALL, BodyRules, JsonRpcRules, Selection, ToolRules


@dataclass(frozen=True, slots=True)
class Hints:
    """What a server says of a tool (MCP, ToolAnnotations); what it does not say is the cautious answer."""

    read_only: bool = False
    idempotent: bool = False


HintsOf = Callable[[str], Hints]
"""What is known of a tool by its name."""


def no_hints(_: str) -> Hints:
    """Know nothing."""
    return Hints()


@dataclass(frozen=True, slots=True)
class Call:
    """One message of a request. ``tool`` is the name where it calls one. ``action``: it is guarded."""

    document: dict[str, Any]
    method: str | None
    tool: str | None
    action: bool
    idempotent: bool = False


def calls(content: Content, rules: JsonRpcRules, hints: HintsOf = no_hints) -> list[Call]:
    """Return the messages of a request in their order; there is more than one in a batch.

    Raises:
        NotCanonical: the body is no JSON-RPC.
    """
    if content.json is None:
        raise NotCanonical("no JSON")
    document = content.json.document
    batch = document if isinstance(document, list) else [document]
    if not batch or not all(isinstance(one, dict) for one in batch):
        raise NotCanonical("no JSON-RPC")
    return [_call(one, rules, hints) for one in batch]


def canonical_calls(content: Content, rules: BodyRules) -> tuple[bytes, ...]:
    """Return the canonical parts of a request: whether it is a batch, and each message.

    Raises:
        NotCanonical: the body is no JSON-RPC.
    """
    found = calls(content, rules.jsonrpc)
    # Ids that can't be told apart can't be changed in an answer: such a body is compared as it is.
    call_ids(content.decoded or b"")
    batch = content.json is not None and isinstance(content.json.document, list)
    return (b"batch" if batch else b"one", *(_canonical(call, rules) for call in found))


def _call(document: dict[str, Any], rules: JsonRpcRules, hints: HintsOf) -> Call:
    method = document.get("method")
    if method is None and ("result" in document or "error" in document):
        return Call(document, None, None, action=False)  # the answer to a request of the server's
    if not isinstance(method, str):
        raise NotCanonical("neither a call nor a response")
    if not _chosen(method, rules.methods):
        return Call(document, method, None, action=False)
    params = document.get("params")
    name = params.get("name") if method == TOOL_CALL and isinstance(params, dict) else None
    if not isinstance(name, str):
        return Call(document, method, None, action=True)
    rule = _rule(name, rules)
    if rule is not None and not rule.guard:
        return Call(document, method, name, action=False)
    known = hints(name) if rules.trust_annotations else Hints()
    return Call(document, method, name, action=not known.read_only, idempotent=known.idempotent)


def _canonical(call: Call, rules: BodyRules) -> bytes:
    message = call.document
    if call.method is None:
        return pack([b"response", packed_members(message, ALL)])
    # Whether an answer is wanted makes a difference to what the answer is.
    kind = b"notification" if message.get("id") is None else b"call"
    message = {name: value for name, value in message.items() if name != "id"}
    params = message.get("params")
    arguments: tuple[bytes, ...] = ()
    if isinstance(params, dict):
        params = {name: value for name, value in params.items() if name != "_meta"}
        message["params"] = params
        rule = _rule(call.tool, rules.jsonrpc) if call.tool is not None else None
        if rule is not None and rule.arguments != ALL and "arguments" in params:
            arguments = (packed_members(params.pop("arguments"), rule.arguments),)
    return pack([kind, packed_members(message, rules.members), *arguments])


def _rule(tool: str, rules: JsonRpcRules) -> ToolRules | None:
    return next((rule for rule in rules.tools if _any(tool, rule.names)), None)


def _chosen(name: str, globs: Selection) -> bool:
    included = globs.include is None or _any(name, globs.include)
    return included and not _any(name, globs.exclude)


def _any(name: str, globs: tuple[str, ...]) -> bool:
    return any(Text(glob).matches(name) for glob in globs)
