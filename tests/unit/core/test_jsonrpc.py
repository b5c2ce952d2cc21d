"""JSON-RPC and MCP: what is an action, and which messages ask for the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.identity import identify
from onceproxy.core.jsonrpc import Hints
from onceproxy.core.messages import BytesBody, Origin, Request
from onceproxy.core.routes import Route
from onceproxy.core.rules import (
    BodyForm,
    BodyRules,
    FingerprintRules,
    IdentityRules,
    JsonRpcRules,
    Selection,
    ToolRules,
)
from onceproxy.core.tool_lists import listed_tools

API = Origin("https", "mcp.example.com", 443)


def route(members: Selection | None = None, **rules: Any) -> Route:
    body = BodyRules(BodyForm.JSONRPC, members or Selection(), JsonRpcRules(**rules))
    return Route(identity=IdentityRules(fingerprint=FingerprintRules(body=body)))


MCP = route()


def request(document: Any, method: str = "POST") -> Request:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Request(method, API, b"/mcp", ((b"Content-Type", b"application/json"),), BytesBody(body))


def call(tool: str = "pay", id_: Any = 1, meta: Any = None, /, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments} | ({"_meta": meta} if meta is not None else {})
    return {"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": params}


def ask(method: str, id_: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
ANSWER = {"jsonrpc": "2.0", "id": "s-1", "result": {"role": "assistant"}}


def same(one: Any, other: Any, how: Route = MCP) -> bool:
    return identify(request(one), how.identity) == identify(request(other), how.identity)


@pytest.mark.parametrize(
    "message",
    [
        ask("initialize"),
        ask("tools/list"),
        ask("resources/read", uri="x://y"),
        ask("ping"),
        INITIALIZED,
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        ANSWER,
        {"jsonrpc": "2.0", "id": 3, "error": {"code": -1, "message": "no"}},
        [INITIALIZED, ANSWER, ask("tools/list")],
    ],
)
def test_what_passes(message: Any) -> None:
    assert not MCP.guards(request(message))


@pytest.mark.parametrize(
    "message",
    [
        call(),
        {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "pay"}},
        ask("tools/call"),
        ask("tools/call", name=7),
        {"method": "tools/call", "params": ["pay"]},
        [ask("ping"), call()],
        [],
        {},
        7,
        [7],
        {"method": 7, "id": 1},
        {"jsonrpc": "2.0", "id": 1},
        b"{",
        b"",
        b'{"method": "ping", "method": "tools/call"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
)
def test_calls_of_tools_and_what_nobody_understands_are_actions(message: Any) -> None:
    assert MCP.guards(request(message))
    assert same(message, message)


@pytest.mark.parametrize(("method", "guarded"), [("GET", False), ("DELETE", False), ("PUT", True)])
def test_streams_and_ends_of_sessions_pass(method: str, guarded: bool) -> None:
    assert MCP.guards(request(call(), method)) is guarded


@pytest.mark.parametrize(
    ("methods", "guarded"),
    [
        (Selection(include=("eth_send*", "*.create")), {"eth_sendRawTransaction", "order.create"}),
        (Selection(exclude=("eth_get*", "order.list")), {"eth_sendRawTransaction", "order.create"}),
        (Selection(include=("eth_*",), exclude=("*get*",)), {"eth_sendRawTransaction"}),
        (Selection(include=()), set()),
    ],
)
def test_a_route_says_which_methods_are_actions(methods: Selection, guarded: set[str]) -> None:
    plain = route(methods=methods)
    for method in ("eth_sendRawTransaction", "eth_getBalance", "order.create", "order.list"):
        assert plain.guards(request(ask(method))) is (method in guarded)


TOOLS = (
    ToolRules(("get_*", "search"), guard=False),
    ToolRules(("pay",), arguments=Selection(exclude=("$.trace",))),
    ToolRules(("send_*",), arguments=Selection(include=("$.to", "$.subject"))),
    ToolRules(("*_draft",), guard=False),
)


@pytest.mark.parametrize(
    ("tool", "guarded"),
    [
        *(("get_order", False), ("search", False), ("search2", True), ("pay", True), ("other", True)),
        *(("send_draft", True), ("new_draft", False)),
    ],
)
def test_rules_for_tools(tool: str, guarded: bool) -> None:
    assert route(tools=TOOLS).guards(request(call(tool))) is guarded


def test_which_arguments_count() -> None:
    how = route(tools=TOOLS)
    assert same(call(amount=1, trace="a"), call(amount=1, trace="b"), how)
    assert not same(call(amount=1), call(amount=2), how)
    letter = {"to": "a", "subject": "s"}
    assert same(call("send_mail", body="x", **letter), call("send_mail", body="y", **letter), how)
    assert not same(call("send_mail", **letter), call("send_mail", **letter | {"to": "b"}), how)
    assert not same(call("send_mail", **letter), call("send_fax", **letter), how)
    assert not same(call("send_mail", to="a", body="x"), call("send_mail", to="a", body="y"), how)
    assert not same(call("other", trace=1), call("other", trace=2), how)


def test_which_members_of_a_message_count() -> None:
    how = route(Selection(exclude=("$.params.nonce",)), methods=Selection())
    assert same(ask("pay", nonce=1, to="a"), ask("pay", nonce=2, to="a"), how)
    assert not same(ask("pay", nonce=1, to="a"), ask("pay", nonce=1, to="b"), how)


ids = st.integers() | st.text()


@given(one=ids, other=ids, token=ids)
def test_ids_and_progress_tokens_do_not_count(one: Any, other: Any, token: Any) -> None:
    assert same(call("pay", one, amount=1), call("pay", other, {"progressToken": token}, amount=1))


@given(one=ids, other=ids, third=ids.filter(lambda value: value != "x"))
def test_nor_do_they_in_a_batch(one: Any, other: Any, third: Any) -> None:
    before = [call("pay", one, amount=1), INITIALIZED, call("pay", "x" + str(one), amount=2)]
    after = [call("pay", other, amount=1), INITIALIZED, call("pay", "x" + str(other), amount=2)]
    assert same(before, after)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (call(amount=1), call(amount=1.5)),
        (call(amount=10000000000000000001), call(amount=10000000000000000002)),
        (call("pay"), call("pay2")),
        (call(), [call()]),
        ([call(), call("b", 2)], [call("b", 2), call()]),
        ([call(), call("pay", 2)], [call()]),
        (call(), call("pay", None)),  # a notification gets no answer
        ([call(), ANSWER], [call(), ANSWER | {"id": "s-2"}]),
        (
            [call(), call()],
            [call("pay", 2), call("pay", 2)],
        ),  # ids that nobody could tell apart in the answer
        (call("pay", True), call("pay", False)),
        (ask("tools/call", name="pay", requestState="a"), ask("tools/call", name="pay", requestState="b")),
    ],
)
def test_what_asks_for_something_else(one: Any, other: Any) -> None:
    assert not same(one, other)


def listing(**annotations: Any) -> bytes:
    tools = [{"name": name, "annotations": given} for name, given in annotations.items()]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).encode()


LISTING = listing(
    look={"readOnlyHint": True}, put={"idempotentHint": True}, odd={"readOnlyHint": "yes"}, no=7
)
KNOWN = {"look": Hints(read_only=True), "put": Hints(idempotent=True), "odd": Hints(), "no": Hints()}


def test_lists_of_tools_are_read() -> None:
    assert listed_tools("application/json", LISTING) == KNOWN
    events = b'event: message\ndata: {"method": "x"}\n\nid: 7\ndata: ' + LISTING + b"\n\n"
    assert listed_tools("text/event-stream", events) == KNOWN


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"result": 7}', b'{"result": {"tools": [7, {}]}}']
)
def test_what_is_no_list_of_tools_says_nothing(body: bytes) -> None:
    assert listed_tools("application/json", body) == {}


def test_annotations_count_only_where_a_route_trusts_them() -> None:
    trusting, wary = route(trust_annotations=True), MCP

    def hints(tool: str) -> Hints:
        return KNOWN.get(tool, Hints())

    assert not trusting.verdict(request(call("look")), hints).action
    assert trusting.verdict(request(call("put")), hints).harmless_twice
    assert trusting.verdict(request([call("put"), call("look", 2)]), hints).harmless_twice
    assert not trusting.verdict(request([call("put"), call("pay", 2)]), hints).harmless_twice
    assert trusting.verdict(request(call("odd")), hints).action
    assert wary.verdict(request(call("look")), hints).action
    assert not wary.verdict(request(call("put")), hints).harmless_twice
    assert trusting.verdict(request(ask("tools/list"))).lists_tools
    assert not wary.verdict(request(ask("tools/list"))).lists_tools
