"""GraphQL and JSON-RPC on the wire: what is guarded, and what a copy with other ids gets."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.serve import Proxy
from raw_client import Reply, a_request, ask
from upstreams import Upstream, after, answer, close

JSON = (("Content-Type", "application/json"),)


def route(name: str, **more: Any) -> dict[str, Any]:
    body = more.pop("body", name)
    return {
        "name": name,
        "match": {"path": f"/{name}"},
        "identity": {"key": [], "fingerprint": {"body": body}},
        **more,
    }


async def sent(proxy: Proxy, upstream: Upstream, path: str, document: Any, **headers: str) -> Reply:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    request = a_request(
        "POST",
        f"{upstream.url}{path}",
        "Content-Type: application/json",
        *lines,
        body=json.dumps(document).encode(),
    )
    return await ask(proxy.url, request)


def call(id_: Any, tool: str = "pay", **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": id_,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


def result(id_: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "result": {"content": []}}


def saying(document: Any, *headers: tuple[str, str]) -> Any:
    return answer(200, json.dumps(document).encode(), (*JSON, *headers))


async def test_only_mutations_are_guarded(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(routes=[route("graphql")])
    query = {"query": "query { orders { id } }"}

    replies = [
        await sent(proxy, upstream, "/graphql", document)
        for document in (
            query,
            query,
            {"query": "mutation { pay(amount: 5, to: 1) }"},
            {"query": "mutation{pay(to:1,amount:5)} # again", "variables": {}},
            {"query": "mutation { pay(amount: 6, to: 1) }"},
        )
    ]

    assert [reply.replayed for reply in replies] == [False, False, False, True, False]
    assert len(upstream.requests) == 4
    assert not replies[0].all("Onceproxy-Status")
    assert json.loads(upstream.requests[0].body) == query
    assert upstream.requests[0].all("Content-Length") == [str(len(upstream.requests[0].body))]


async def test_a_document_of_a_megabyte_is_an_action(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(routes=[route("graphql")])
    large = {"query": "mutation { note(text: " + json.dumps("x" * 1_000_000) + ") }"}
    deep = {"query": "mutation " + "{ a " * 100_000}

    for document in (large, deep):
        first = await sent(proxy, upstream, "/graphql", document)
        again = await sent(proxy, upstream, "/graphql", document)
        assert (first.status, again.replayed) == (201, True)
    assert upstream.executions == 2


@pytest.mark.parametrize(
    "passing",
    [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ],
)
async def test_what_is_no_call_of_a_tool_passes(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts, passing: Any
) -> None:
    proxy = await start_proxy(routes=[route("jsonrpc")])

    for _ in range(2):
        assert not (await sent(proxy, upstream, "/jsonrpc", passing)).all("Onceproxy-Status")
    for method in ("GET", "DELETE"):
        await ask(proxy.url, a_request(method, f"{upstream.url}/jsonrpc"))
        await ask(proxy.url, a_request(method, f"{upstream.url}/jsonrpc"))

    assert len(upstream.requests) == 6
    assert await receipts() == []


async def test_a_copy_gets_the_answer_with_its_own_id_and_no_session(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(routes=[route("jsonrpc")])
    session = ("Mcp-Session-Id", "s-1")
    upstream.will(saying(result(1), session, ("X-Own", "1")))

    first = await sent(proxy, upstream, "/jsonrpc", call(1, amount=5), Mcp_Session_Id="s-1")
    again = await sent(proxy, upstream, "/jsonrpc", call("b", amount=5), Mcp_Session_Id="s-2")

    assert first.all("Mcp-Session-Id") == ["s-1"]
    assert json.loads(first.body) == result(1)
    assert again.replayed
    assert again.all("Mcp-Session-Id") == []
    assert again.one("X-Own") == "1"
    assert again.body == first.body.replace(b'"id": 1', b'"id": "b"')
    assert again.one("Content-Length") == str(len(again.body))
    assert upstream.executions == 1


async def test_copies_that_wait_get_their_own_ids(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(routes=[route("jsonrpc")])
    gate = asyncio.Event()
    upstream.will(after(gate, saying(result(0))))

    first = asyncio.ensure_future(sent(proxy, upstream, "/jsonrpc", call(0)))
    await upstream.arrived(1)
    copies = [
        asyncio.ensure_future(sent(proxy, upstream, "/jsonrpc", call(number))) for number in range(1, 6)
    ]
    gate.set()

    assert [json.loads(reply.body)["id"] for reply in await asyncio.gather(first, *copies)] == list(range(6))
    assert upstream.executions == 1


@pytest.mark.parametrize("coding", [None, "gzip"])
async def test_events_are_replayed_with_new_ids(
    start_proxy: StartProxy, upstream: Upstream, coding: str | None
) -> None:
    proxy = await start_proxy(routes=[route("jsonrpc")])
    progress = (
        b'event: message\r\ndata: {"method":"notifications/progress","params":{"progressToken":1}}\r\n\r\n'
    )
    events = progress + b'data: {"id":1,"result":{}}\n\n'
    body = gzip.compress(events) if coding else events
    coded = (("Content-Encoding", coding),) if coding else ()
    upstream.will(answer(200, body, (("Content-Type", "text/event-stream"), *coded)))

    first = await sent(proxy, upstream, "/jsonrpc", call(1))
    again = await sent(proxy, upstream, "/jsonrpc", call(77))
    same = await sent(proxy, upstream, "/jsonrpc", call(1))

    assert first.body == same.body == body
    assert again.body == progress + b'data: {"id":77,"result":{}}\n\n'
    assert again.all("Content-Encoding") == []
    assert upstream.executions == 1


async def test_a_batch_is_one_action(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(routes=[route("jsonrpc")])
    # What the upstream says in our name, we neither believe nor pass on.
    upstream.will(saying([result("b"), result(1)], ("Onceproxy-Call-Ids", '["b",1]')))

    first = await sent(proxy, upstream, "/jsonrpc", [call(1), call("b", amount=2)])
    again = await sent(proxy, upstream, "/jsonrpc", [call(7), call(8, amount=2)])

    assert json.loads(first.body) == [result("b"), result(1)]
    assert json.loads(again.body) == [result(8), result(7)]
    assert first.all("Onceproxy-Call-Ids") == again.all("Onceproxy-Call-Ids") == []
    assert upstream.executions == 1


async def test_a_batch_is_still_answered_after_a_restart(start_proxy: StartProxy, upstream: Upstream) -> None:
    upstream.will(saying([result(1), result(2)]))
    proxy = await start_proxy(routes=[route("jsonrpc")])
    await sent(proxy, upstream, "/jsonrpc", [call(1), call(2)])
    await proxy.stop(grace=0)
    other = await start_proxy(routes=[route("jsonrpc")])

    again = await sent(other, upstream, "/jsonrpc", [call(5), call(6)])

    assert json.loads(again.body) == [result(5), result(6)]


TOOLS = {
    "tools": [
        {"name": "look", "annotations": {"readOnlyHint": True}},
        {"name": "put", "annotations": {"idempotentHint": True}},
        {"name": "pay", "annotations": {}},
    ]
}


@pytest.mark.parametrize("events", [False, True])
async def test_a_route_trusts_what_a_server_says_of_its_tools(
    start_proxy: StartProxy, upstream: Upstream, events: bool
) -> None:
    proxy = await start_proxy(routes=[route("jsonrpc", body={"jsonrpc": {"trust_annotations": True}})])
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": TOOLS}).encode()
    kind = "text/event-stream" if events else "application/json"
    told = answer(200, b"data: " + text + b"\n\n" if events else text, (("Content-Type", kind),))
    look, put, pay = (call(1, name) for name in ("look", "put", "pay"))

    assert (await sent(proxy, upstream, "/jsonrpc", look)).all("Onceproxy-Status")
    assert (await sent(proxy, upstream, "/jsonrpc", look)).replayed
    upstream.will(told)
    await sent(proxy, upstream, "/jsonrpc", listing)
    for _ in range(2):
        assert not (await sent(proxy, upstream, "/jsonrpc", look)).all("Onceproxy-Status")
    upstream.will(close)
    assert (await sent(proxy, upstream, "/jsonrpc", put)).status == 502
    assert (await sent(proxy, upstream, "/jsonrpc", put)).status == 201
    upstream.will(close)
    assert (await sent(proxy, upstream, "/jsonrpc", pay)).status == 502
    assert (await sent(proxy, upstream, "/jsonrpc", pay)).status == 409


async def test_a_server_is_not_believed_otherwise(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(routes=[route("jsonrpc")])
    upstream.will(saying({"jsonrpc": "2.0", "id": 1, "result": TOOLS}))
    await sent(proxy, upstream, "/jsonrpc", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

    assert not (await sent(proxy, upstream, "/jsonrpc", call(1, "look"))).replayed
    assert (await sent(proxy, upstream, "/jsonrpc", call(2, "look"))).replayed


async def test_plain_json_rpc_with_methods_of_its_own(start_proxy: StartProxy, upstream: Upstream) -> None:
    body = {"jsonrpc": {"methods": {"exclude": ["eth_get*"]}, "members": {"exclude": ["$.params[1]"]}}}
    proxy = await start_proxy(routes=[route("jsonrpc", body=body)])

    def asking(method: str, nonce: int) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": nonce, "method": method, "params": ["0x1", nonce]}

    replies = [
        await sent(proxy, upstream, "/jsonrpc", asking(method, nonce))
        for nonce in (1, 2)
        for method in ("eth_getBalance", "eth_send")
    ]

    assert [reply.replayed for reply in replies] == [False, False, False, True]
