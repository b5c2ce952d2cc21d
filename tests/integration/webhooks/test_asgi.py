"""The middleware as servers call it: message by message, with a store of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from onceproxy.config.load import ConfigError
from onceproxy.webhooks import OnceMiddleware
from upstreams import PATIENCE

Messages = list[dict[str, Any]]


class Handler:
    """An application that counts, and answers in two pieces; or does as ``then`` says."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.scopes: list[Any] = []
        self.then: Callable[[Any, Any], Any] | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{step}"
                await send({"type": f"lifespan.{step}.complete"})
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        self.bodies.append((await receive())["body"])
        await self.gate.wait()
        if self.then is not None:
            await self.then(receive, send)
            return
        await send(
            {"type": "http.response.start", "status": 201, "headers": [(b"x-n", b"%d" % len(self.bodies))]}
        )
        await send({"type": "http.response.body", "body": b"do", "more_body": True})
        await send({"type": "http.response.body", "body": b"ne"})


class Site:
    """The application behind the middleware."""

    def __init__(self, handler: Handler, **options: Any) -> None:
        self.handler = handler
        self.middleware = OnceMiddleware(handler, **options)

    async def call(
        self,
        *pieces: bytes,
        method: str = "POST",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        **scope: Any,
    ) -> Messages:
        """Call it with a body in pieces; return what it sent."""
        sent: Messages = []
        left = [
            {"type": "http.request", "body": piece, "more_body": n < len(pieces) - 1}
            for n, piece in enumerate(pieces or (b"",))
        ]

        async def receive() -> dict[str, Any]:
            return left.pop(0) if left else {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(dict(message))

        whole = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": "/hook",
            "raw_path": b"/hook",
            "query_string": b"",
            "headers": [(b"host", b"app.example"), *headers],
            "server": ("127.0.0.1", 8000),
            "extensions": {"http.response.pathsend": {}},
            **scope,
        }
        async with asyncio.timeout(PATIENCE):
            await self.middleware(whole, receive, send)
        return sent

    async def told(self, *pieces: bytes, **how: Any) -> tuple[int, dict[bytes, bytes], bytes]:
        """Call it; return status, headers and body."""
        start, *rest = await self.call(*pieces, **how)
        return start["status"], dict(start["headers"]), b"".join(one.get("body", b"") for one in rest)


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
async def make(handler: Handler, database_url: str, tmp_path: Path) -> AsyncIterator[Callable[..., Site]]:
    made: list[Site] = []

    def one(**options: Any) -> Site:
        made.append(Site(handler, database=database_url, data_dir=tmp_path / "data", **options))
        return made[-1]

    yield one
    for site in made:
        await site.middleware._deliveries.close()


Make = Callable[..., Site]


async def test_one_handling_for_all_copies(make: Make, handler: Handler) -> None:
    site, other = make(), make()
    handler.gate.clear()
    copies = [asyncio.create_task(one.told(b"ab", b"c")) for one in (site, other, site)]
    async with asyncio.timeout(PATIENCE):
        while not handler.bodies:
            await asyncio.sleep(0.01)
    handler.gate.set()
    told = await asyncio.gather(*copies)
    assert {(status, headers[b"x-n"], body) for status, headers, body in told} == {(201, b"1", b"done")}
    assert sorted(headers.get(b"idempotency-replayed", b"") for _, headers, _ in told) == [
        b"",
        b"true",
        b"true",
    ]
    assert handler.bodies == [b"abc"]
    assert all(headers[b"content-length"] == b"4" for _, headers, _ in told)
    assert handler.scopes[0]["extensions"] == {}


@pytest.mark.parametrize(
    "how",
    [
        {"method": "GET"},
        {"path": "/free", "raw_path": b"/free"},
        {"path": "/off", "raw_path": b"/off"},
        {"headers": ()},
    ],
)
async def test_what_is_no_action_passes(make: Make, handler: Handler, how: dict[str, Any]) -> None:
    routes = [
        {"name": "free", "match": {"path": "/free"}, "guard": False},
        {"name": "off", "match": {"path": "/off"}, "mode": "off"},
        {
            "name": "keyed",
            "match": {"path": "/hook"},
            "identity": {"key": {"json": "$.id"}, "missing": "pass"},
        },
    ]
    site = make(routes=routes)
    for n in (1, 2):
        status, headers, body = await site.told(b"x", **how)
        assert (status, headers, body) == (201, {b"x-n": b"%d" % n}, b"done")
    assert handler.bodies == [b"x", b"x"]


async def test_a_websocket_is_none_of_ours(make: Make) -> None:
    assert await make().call(type="websocket") == [{"type": "websocket.close"}]


async def test_what_is_part_of_the_identity(make: Make, handler: Handler) -> None:
    site = make()
    for how in (
        {},
        {"headers": ((b"host", b"other"),)},  # two Host lines: the server's name counts
        {"scheme": "https"},
        {"query_string": b"a=1"},
        {"path": "/\u00e9", "raw_path": None},
        {"path": "/%2F", "raw_path": b"/%2F"},
        {"method": "PUT"},
    ):
        for _ in range(2):
            await site.call(b"x", **how)
    assert len(handler.bodies) == 7

    pinned = make(origin="https://hooks.example.com")
    await pinned.call(b"x")
    await pinned.call(b"x", headers=((b"host", b"other"),), scheme="https")
    assert len(handler.bodies) == 8


async def test_who_leaves_early_or_says_too_much(make: Make, handler: Handler, tmp_path: Path) -> None:
    config = tmp_path / "onceproxy.yaml"
    config.write_text("version: 1\nlimits: {request_body: 1KiB}\n")
    site = make(config=config)
    status, headers, body = await site.told(b"a" * 1024, b"b")
    assert (status, json.loads(body)["type"]) == (413, "urn:onceproxy:problem:body-too-large")
    assert headers[b"content-type"] == b"application/problem+json"

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    sent: Messages = []
    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await site.middleware(scope, receive, sent.append)  # type: ignore[arg-type]  # it is never called
    assert (sent, handler.bodies) == ([], [])


async def test_what_a_handler_raises_is_raised_once(make: Make, handler: Handler) -> None:
    async def broken(receive: Any, send: Any) -> None:
        raise KeyError("secret")

    async def halfway(receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    site = make()
    handler.then = broken
    with pytest.raises(KeyError):
        await site.call(b"1")
    handler.then = halfway
    with pytest.raises(RuntimeError, match="without a whole response"):
        await site.call(b"2")
    handler.then = None
    for body in (b"1", b"2"):
        status, _, told = await site.told(body)
        assert (status, json.loads(told)["type"]) == (409, "urn:onceproxy:problem:outcome-unknown")
        assert b"secret" not in told
    assert handler.bodies == [b"1", b"2"]


async def test_a_route_may_say_that_a_failed_handler_did_nothing(make: Make, handler: Handler) -> None:
    async def broken(receive: Any, send: Any) -> None:
        raise KeyError("x")

    site = make(routes=[{"name": "all", "match": {"path": "/**"}, "outcomes": {"released": [500]}}])
    handler.then = broken
    for _ in range(2):
        with pytest.raises(KeyError):
            await site.call(b"1")
    handler.then = None
    assert (await site.told(b"1"))[0] == 201
    assert len(handler.bodies) == 3


async def test_it_lives_with_the_application(make: Make, handler: Handler) -> None:
    site = make()
    steps = asyncio.Queue[dict[str, Any]]()
    sent = asyncio.Queue[MutableMapping[str, Any]]()
    life = asyncio.create_task(site.middleware({"type": "lifespan"}, steps.get, sent.put))
    async with asyncio.timeout(PATIENCE):
        steps.put_nowait({"type": "lifespan.startup"})
        assert await sent.get() == {"type": "lifespan.startup.complete"}
        assert site.middleware._deliveries._open is not None
        steps.put_nowait({"type": "lifespan.shutdown"})
        assert await sent.get() == {"type": "lifespan.shutdown.complete"}
        await life
    assert site.middleware._deliveries._open is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"routes": [{"name": "a", "match": {"pfad": "/"}}]}, "routes[0].match.pfad"),
        (
            {"routes": [{"name": "a", "match": {}, "guard": True, "identity": {"key": {}}}]},
            "routes[0].identity.key",
        ),
        (
            {
                "routes": [
                    {
                        "name": "a",
                        "match": {"path": "/"},
                        "in_doubt": "probe",
                        "probe": {"url": "https://a.example/", "happened": "$.a"},
                    }
                ]
            },
            "in_doubt: probe",
        ),
        ({"config": "nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_a_configuration_that_can_not_be_used(handler: Handler, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
        OnceMiddleware(handler, **options)


@pytest.mark.parametrize(
    "origin", ["hooks.example.com", "ftp://a.example", "https://a.example/path", "https://\u00e9"]
)
def test_an_origin_that_is_none(handler: Handler, origin: str) -> None:
    with pytest.raises(ValueError, match="origin:"):
        OnceMiddleware(handler, origin=origin)
