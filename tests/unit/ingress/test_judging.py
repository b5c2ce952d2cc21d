"""What is learnt of tools in passing: when, from whom, and how much."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import pytest

from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request
from onceproxy.core.routes import Route
from onceproxy.core.rules import BodyForm, BodyRules, FingerprintRules, IdentityRules, JsonRpcRules
from onceproxy.ingress.annotations import MAX_SERVERS, MAX_TOOLS
from onceproxy.ingress.incoming import Incoming
from onceproxy.ingress.judging import MAX_LIST, Judge

ROUTE = Route(
    identity=IdentityRules(
        fingerprint=FingerprintRules(
            body=BodyRules(BodyForm.JSONRPC, jsonrpc=JsonRpcRules(trust_annotations=True))
        )
    )
)
EVENTS: RawHeaders = ((b"Content-Type", b"text/event-stream"),)
JSON: RawHeaders = ((b"Content-Type", b"application/json"),)


def calling(
    tool: str,
    server: str = "a",
    user: str | None = None,
    path: bytes = b"/mcp",
    headers: RawHeaders = JSON,
) -> Incoming:
    body = {"id": 1, "method": "tools/call", "params": {"name": tool}}
    request = Request(
        "POST", Origin("https", server, 443), path, headers, BytesBody(json.dumps(body).encode())
    )
    return Incoming(request, user, None, None)


def listing(*tools: str, read_only: bool = True, padding: int = 0) -> bytes:
    listed = [{"name": name, "annotations": {"readOnlyHint": read_only}} for name in tools]
    return json.dumps({"id": 1, "result": {"tools": listed, "padding": "x" * padding}}).encode()


async def arriving(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def learn(judge: Judge, incoming: Incoming, *pieces: bytes, headers: RawHeaders = JSON) -> None:
    assert [piece async for piece in judge.overhear(incoming, headers, arriving(*pieces))] == list(pieces)


async def passes(judge: Judge, incoming: Incoming) -> bool:
    return not (await judge.verdict(ROUTE, incoming)).action


@pytest.mark.parametrize(
    ("headers", "body"), [(JSON, listing("look")), (EVENTS, b"data: " + listing("look") + b"\n\n")]
)
async def test_a_list_is_known_before_the_client_has_all_of_it(headers: RawHeaders, body: bytes) -> None:
    """A client that has the answer calls at once, and may close the stream that it was in."""
    judge = Judge()
    heard = judge.overhear(calling("look"), headers, arriving(body[:20], body[20:], b"\n"))
    assert await anext(heard) == body[:20]
    assert not await passes(judge, calling("look"))
    assert await anext(heard) == body[20:]
    assert await passes(judge, calling("look"))
    await heard.aclose()


async def test_a_list_in_many_pieces_is_known_at_its_end() -> None:
    judge, body = Judge(), listing("look")
    await learn(judge, calling("look"), *(bytes([byte]) for byte in body))
    assert await passes(judge, calling("look"))


async def test_each_server_and_each_user_has_tools_of_its_own() -> None:
    judge = Judge()
    await learn(judge, calling("look", user="u"), listing("look"))
    assert await passes(judge, calling("look", user="u"))
    for other in (
        calling("look"),
        calling("look", user="v"),
        calling("look", "b", user="u"),
        calling("look", user="u", path=b"/other"),
        calling("look", user="u", path=b"/mcp?profile=other"),
        calling("look", user="u", headers=(*JSON, (b"Authorization", b"Bearer other"))),
        calling("pay", user="u"),
    ):
        assert not await passes(judge, other)


async def test_a_later_list_holds() -> None:
    judge = Judge()
    await learn(judge, calling("look"), listing("look", "see"))
    await learn(judge, calling("look"), listing("look", read_only=False))
    assert not await passes(judge, calling("look"))
    assert await passes(judge, calling("see"))


async def test_what_is_remembered_is_bounded() -> None:
    judge = Judge()
    await learn(judge, calling("0"), listing(*(str(number) for number in range(MAX_TOOLS + 1))))
    assert not await passes(judge, calling("0"))
    assert await passes(judge, calling(str(MAX_TOOLS)))
    for number in range(MAX_SERVERS):
        await learn(judge, calling("0", f"s{number}"), listing("0"))
    assert not await passes(judge, calling(str(MAX_TOOLS)))
    assert await passes(judge, calling("0", "s0"))
    await learn(judge, calling("0", "large"), listing("0", padding=MAX_LIST))
    assert not await passes(judge, calling("0", "large"))


async def test_nobody_makes_what_another_user_has_learnt_be_forgotten() -> None:
    judge = Judge()
    await learn(judge, calling("look", user="ann"), listing("look"))
    for number in range(MAX_SERVERS + 10):
        await learn(judge, calling("look", f"s{number}", user="bob"), listing("look"))

    assert await passes(judge, calling("look", user="ann"))
    assert not await passes(judge, calling("look", "s0", user="bob"))
    assert await passes(judge, calling("look", f"s{MAX_SERVERS}", user="bob"))
