"""SDKs that retry by themselves when an answer is lost, against services that behave like the real ones.

The answer is lost on its way to the proxy, which then can't know, or on its way from the proxy to the client.
What was done is counted by the service itself.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from clients.cutting import Cutter
from processes import Start, Told, ended
from proxies import ProxyProcess
from upstreams import Behaviour, Conversation, Upstream, answer, close

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Service:
    """A service and its SDK. ``mark`` is in what does something; ``count`` says how often it was done."""

    needs: tuple[str, ...]
    server: str
    client: str
    mark: bytes
    count: Callable[[str], int]


def customers(url: str) -> int:
    """Ask localstripe how many customers there are."""
    login = base64.b64encode(b"sk_test_onceproxy:").decode()
    asked = urllib.request.Request(f"{url}/v1/customers", headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(asked) as response:
        return len(json.load(response)["data"])


def messages(url: str) -> int:
    """Ask moto how many messages are in the queue."""
    import boto3

    sqs = boto3.client(
        "sqs", endpoint_url=url, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    wanted = "ApproximateNumberOfMessages"
    found = sqs.get_queue_attributes(QueueUrl=f"{url}/1/queue", AttributeNames=[wanted])
    return int(found["Attributes"][wanted])


SERVICES = {
    "stripe": Service(
        ("stripe", "localstripe"), "localstripe_server", "customer_with_stripe", b"/v1/customers", customers
    ),
    "boto3": Service(("boto3", "moto", "flask_cors"), "moto_server", "with_boto3", b"SendMessage", messages),
}
NEVER = b"\0"


def check(told: list[Told], lost_by: str) -> None:
    """Look at what the SDK got in the end."""
    (last,) = told
    if lost_by == "client":
        assert (last.status, last.replayed) == (200, "true")
    else:
        assert last.status == 409
        assert "outcome-unknown" in last.text


def need(*modules: str) -> None:
    """Skip where one is missing."""
    for module in modules:
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install -e '.[clients]'")


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("lost_by", ["proxy", "client"])
async def test_a_service_does_it_once(
    name: str, lost_by: str, start: Start, tmp_path: Path, database_url: str
) -> None:
    service = SERVICES[name]
    need(*service.needs)
    server = await start(sys.executable, str(PROGRAMS / f"{service.server}.py"))
    assert server.stdout is not None
    url = (await server.stdout.readline()).decode().strip()
    assert await asyncio.to_thread(service.count, url) == 0
    before, behind = (service.mark, NEVER) if lost_by == "proxy" else (NEVER, service.mark)

    async with Cutter(url, before) as near:
        config = f"mounts: {{/api: '{near.url}'}}\n"
        async with (
            ProxyProcess(tmp_path / "data", database_url, config) as proxy,
            Cutter(proxy.url, behind) as far,
        ):
            command = (sys.executable, str(PROGRAMS / f"{service.client}.py"), f"{far.url}/api")
            told = (await ended(await start(*command))).told

    assert near.cuts + far.cuts == 1
    assert await asyncio.to_thread(service.count, url) == 1
    check(told, lost_by)


async def serve_graphql(talk: Conversation) -> None:
    """Answer queries and mutations."""
    data: object = {"orders": []} if b"query {" in talk.seen.body else {"pay": {"id": "p-1"}}
    content = json.dumps({"data": data}).encode()
    await answer(200, content, (("Content-Type", "application/json"),))(talk)


COMPLETED = answer(
    200,
    b'{"id": "c-1", "choices": [], "created": 1, "model": "m", "object": "chat.completion"}',
    (("Content-Type", "application/json"),),
)


@pytest.mark.parametrize(
    ("sdk", "serve", "mark"),
    [("gql", serve_graphql, b"mutation Pay"), ("openai", COMPLETED, b"send the invoice")],
)
@pytest.mark.parametrize("lost_by", ["proxy", "client"])
async def test_a_stub_does_it_once(
    sdk: str,
    serve: Behaviour,
    mark: bytes,
    lost_by: str,
    start: Start,
    tmp_path: Path,
    database_url: str,
    http_upstream: Upstream,
) -> None:
    need(sdk, *(("requests_toolbelt",) if sdk == "gql" else ()))
    lost = lost_by == "client"

    async def losing(talk: Conversation) -> None:
        nonlocal lost
        if mark in talk.seen.body and not lost:
            lost = True
            await close(talk)
        else:
            await serve(talk)

    http_upstream.always = losing
    config = f"mounts: {{/api: '{http_upstream.url}'}}\npresets: [graphql]\n"
    async with (
        ProxyProcess(tmp_path / "data", database_url, config) as proxy,
        Cutter(proxy.url, mark if lost_by == "client" else NEVER) as far,
    ):
        told = (
            await ended(await start(sys.executable, str(PROGRAMS / f"with_{sdk}.py"), f"{far.url}/api"))
        ).told

    assert far.cuts == (lost_by == "client")
    assert sum(mark in seen.body for seen in http_upstream.requests) == 1
    check(told, lost_by)
