"""The admin API over a running proxy: what it tells fits its own description, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from integration.proxy.conftest import StartProxy
from integration.store.relay import Relay
from onceproxy.admin.api.openapi import openapi_document
from onceproxy.serve import Proxy
from raw_client import Reply, a_request, ask, post
from upstreams import Upstream, close

JSON = "Content-Type: application/json"
TOKEN = "a-token-of-some-length"
OPERATIONS = {
    ("GET", "/api/receipts"),
    ("GET", "/api/receipts/{id}"),
    ("DELETE", "/api/receipts/{id}"),
    ("GET", "/api/receipts/{id}/body"),
    ("POST", "/api/receipts/{id}/resolve"),
    ("GET", "/api/overview"),
    ("GET", "/api/routes"),
    ("GET", "/api/instances"),
}


class Caller:
    """Calls the API, and holds what it says to its description."""

    def __init__(self, proxy: Proxy) -> None:
        self.url = proxy.admin_url

    async def __call__(
        self, method: str, path: str, content: Any = None, *lines: str, template: str | None = None
    ) -> tuple[int, Any]:
        reply = await self.raw(method, path, content, *lines)
        told = json.loads(reply.body)
        operation = openapi_document()["paths"][template or path.partition("?")[0]][method.lower()]
        [(kind, media)] = operation["responses"][str(reply.status)]["content"].items()
        assert reply.one("Content-Type").partition(";")[0] == kind
        schema = {**media["schema"], "components": openapi_document()["components"]}
        jsonschema.Draft202012Validator(schema).validate(told)
        return reply.status, told

    async def raw(self, method: str, path: str, content: Any = None, *lines: str) -> Reply:
        host = f"Host: {self.url.removeprefix('http://')}"
        body = json.dumps(content).encode() if content is not None else None
        kind = () if content is None or any(line.startswith("Content-Type") for line in lines) else (JSON,)
        return await ask(self.url, a_request(method, path, host, *kind, *lines, body=body))


@pytest.fixture
async def call(proxy: Proxy) -> Caller:
    return Caller(proxy)


async def doubtful(proxy: Proxy, upstream: Upstream, path: str = "/lost") -> str:
    upstream.will(close)
    return (await post(proxy.url, f"{upstream.url}{path}")).one("Onceproxy-Request-Id")


ONE = "/api/receipts/{id}"
RESOLVE = "/api/receipts/{id}/resolve"


def test_the_description_is_a_valid_one_and_names_all() -> None:
    document = openapi_document()
    OpenAPIV31SpecValidator(document).validate()
    told = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert told == OPERATIONS


async def test_it_is_served(call: Caller) -> None:
    reply = await call.raw("GET", "/api/openapi.json")
    assert json.loads(reply.body) == openapi_document()


async def test_lists(call: Caller, proxy: Proxy, upstream: Upstream) -> None:
    for n in range(3):
        await post(proxy.url, f"{upstream.url}/n{n}")
    name = await doubtful(proxy, upstream)

    _, first = await call("GET", "/api/receipts?limit=3")
    _, second = await call("GET", f"/api/receipts?limit=3&cursor={first['next']}")
    assert [one["url"].rpartition("/")[2] for one in first["receipts"]] == ["lost", "n2", "n1"]
    assert [one["url"].rpartition("/")[2] for one in second["receipts"]] == ["n0"]
    assert second["next"] is None
    _, unknown = await call("GET", "/api/receipts?state=in_doubt")
    assert [one["request_id"] for one in unknown["receipts"]] == [name]
    since = quote("2026-01-01T00:00:00+01:00")
    for query, count in (
        ("state=completed&route=default&method=POST&host=127.0.0.1", 3),
        (f"text=N1&since={since}", 1),
        (f"until={since}", 0),
        ("scope=nobody", 0),
    ):
        _, found = await call("GET", f"/api/receipts?{query}")
        assert len(found["receipts"]) == count, query


async def test_a_doubt_is_found_understood_and_resolved(
    call: Caller, proxy: Proxy, upstream: Upstream
) -> None:
    name = await doubtful(proxy, upstream)
    _, shown = await call("GET", f"/api/receipts/{name}", template=ONE)
    assert (shown["state"], shown["can"]) == ("in_doubt", ["resolve"])
    assert shown["evidence"]["phase"] == "sent"
    assert [event["kind"] for event in shown["events"]] == ["claimed", "in_doubt"]

    said = {
        "happened": True,
        "note": "order 7 is there",
        "by": "ann",
        "status": 202,
        "headers": [["X-Made", "yes"], ["Connection", "close"]],
        "body": "ré",
    }
    for changed in (True, False):
        status, told = await call("POST", f"/api/receipts/{name}/resolve", said, template=RESOLVE)
        assert (status, told) == (200, {"request_id": name, "state": "completed", "changed": changed})

    copy = await post(proxy.url, f"{upstream.url}/lost")
    assert (copy.status, copy.body, copy.one("X-Made"), copy.replayed) == (202, "ré".encode(), "yes", True)
    assert upstream.executions == 1
    _, shown = await call("GET", f"/api/receipts/{name}", template=ONE)
    assert shown["events"][2]["detail"] == "ann: order 7 is there"
    body = await call.raw("GET", f"/api/receipts/{name}/body")
    assert (body.body, body.one("Content-Disposition")) == ("ré".encode(), f'attachment; filename="{name}"')

    status, told = await call("DELETE", f"/api/receipts/{name}", {"note": "a test"}, template=ONE)
    assert (status, told["state"]) == (200, "absent")
    assert (await call("GET", f"/api/receipts/{name}", template=ONE))[0] == 404
    assert (await call("DELETE", f"/api/receipts/{name}", {"note": "again"}, template=ONE))[0] == 404


async def test_what_did_not_happen_is_sent_again(call: Caller, proxy: Proxy, upstream: Upstream) -> None:
    name = await doubtful(proxy, upstream)
    said = {"happened": False, "note": "no such order"}
    _, told = await call("POST", f"/api/receipts/{name}/resolve", said, template=RESOLVE)
    assert told["state"] == "released"
    assert (await post(proxy.url, f"{upstream.url}/lost")).status == 201
    assert upstream.executions == 2
    _, shown = await call("GET", f"/api/receipts/{name}", template=ONE)
    assert shown["events"][2]["detail"] == "admin API: no such order"
    status, told = await call("POST", f"/api/receipts/{name}/resolve", said, template=RESOLVE)
    assert (status, "is completed" in told["detail"]) == (409, True)


async def test_a_claim_and_a_doubt_can_not_be_purged(call: Caller, proxy: Proxy, upstream: Upstream) -> None:
    name = await doubtful(proxy, upstream)
    status, told = await call("DELETE", f"/api/receipts/{name}", {"note": "away"}, template=ONE)
    assert (status, "in_doubt" in told["detail"]) == (409, True)
    assert (await call.raw("GET", f"/api/receipts/{name}/body")).status == 404


NOTHING = "oid_" + "a" * 52


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("state=gone", "state"),
        ("since=yesterday", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%C3%A9", "cursor"),
        ("colour=red", "colour"),
        ("route=", "route"),
    ],
)
async def test_wrong_queries(call: Caller, query: str, field: str) -> None:
    status, told = await call("GET", f"/api/receipts?{query}")
    assert (status, told["field"]) == (400, field)
    assert field in told["detail"]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "happened"),
        ({"happened": True}, "note"),
        ({"happened": True, "note": "  "}, "note"),
        ({"happened": True, "note": "x", "status": 99}, "status"),
        ({"happened": True, "note": "x", "headers": [["a b", "c"]]}, "headers.0"),
        ({"happened": True, "note": "x", "headers": [["a", "c\r\nd: e"]]}, "headers.0"),
        ({"happened": True, "note": "x", "headers": [["a", "\u20ac"]]}, "headers.0"),
        ({"happened": False, "note": "x", "status": 200}, "happened"),
        ({"happened": False, "note": "x", "who": "me"}, "who"),
        ([1], None),
    ],
)
async def test_wrong_words(
    call: Caller, proxy: Proxy, upstream: Upstream, content: Any, field: str | None
) -> None:
    name = await doubtful(proxy, upstream)
    status, told = await call("POST", f"/api/receipts/{name}/resolve", content, template=RESOLVE)
    assert (status, told["field"]) == (400, field)
    _, shown = await call("GET", f"/api/receipts/{name}", template=ONE)
    assert shown["state"] == "in_doubt"


async def test_other_mistakes(call: Caller) -> None:
    for name in (NOTHING, "oid_x", "..%2fx"):
        assert (await call("GET", f"/api/receipts/{name}", template=ONE))[0] == 404
    said = {"happened": False, "note": "x"}
    assert (await call("POST", f"/api/receipts/{NOTHING}/resolve", said, template=RESOLVE))[0] == 404
    form = "Content-Type: application/x-www-form-urlencoded"
    status, told = await call("POST", f"/api/receipts/{NOTHING}/resolve", said, form, template=RESOLVE)
    assert (status, "application/json" in told["detail"]) == (400, True)
    large = {"happened": True, "note": "x", "body": "a" * (1 << 20)}
    status, told = await call("POST", f"/api/receipts/{NOTHING}/resolve", large, template=RESOLVE)
    assert (status, "larger" in told["detail"]) == (400, True)


async def test_overview_routes_and_instances(start_proxy: StartProxy, upstream: Upstream) -> None:
    routes = [{"name": name, "match": {"path": f"/{name}"}} for name in ("first", "second")]
    proxy = await start_proxy(routes=routes)
    call = Caller(proxy)
    await post(proxy.url, f"{upstream.url}/second")
    await post(proxy.url, f"{upstream.url}/else")
    name = await doubtful(proxy, upstream, "/first")

    _, overview = await call("GET", "/api/overview")
    assert [one["request_id"] for one in overview["in_doubt"]] == [name]
    assert (overview["more_in_doubt"], overview["instances_alive"]) == (False, 1)
    assert sum(sum(one["receipts"].values()) for one in overview["slices"]) == 3

    _, told = await call("GET", "/api/routes")
    assert [(one["name"], one["receipts"]) for one in told["routes"]] == [
        ("first", {"in_doubt": 1}),
        ("second", {"completed": 1}),
        ("default", {"completed": 1}),
    ]
    other = Caller(await start_proxy())
    _, told = await other("GET", "/api/routes")
    assert [(one["name"], one["configured"]) for one in told["routes"]] == [
        ("default", True),
        ("first", False),
        ("second", False),
    ]
    _, told = await other("GET", "/api/instances")
    assert [one["alive"] for one in told["instances"]] == [True, True]


async def test_it_is_behind_the_door(start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN", TOKEN)
    call = Caller(await start_proxy(admin={"listen": "127.0.0.1:0", "token_env": "ADMIN"}))
    for method, path in OPERATIONS:
        reply = await call.raw(method, path.replace("{id}", NOTHING))
        assert reply.status == 401, path
    assert (await call("GET", "/api/receipts", None, f"Authorization: Bearer {TOKEN}"))[0] == 200


async def test_while_the_database_is_away(start_proxy: StartProxy, database_url: str, tmp_path: Path) -> None:
    async with Relay(database_url, tmp_path) as relay:
        call = Caller(await start_proxy(database=relay.url))
        await call("GET", "/api/receipts")
        await relay.sever()
        status, told = await call("GET", "/api/receipts")
        assert (status, told["title"]) == (503, "The database does not answer")
        await relay.restore()
        assert (await call("GET", "/api/receipts"))[0] == 200
