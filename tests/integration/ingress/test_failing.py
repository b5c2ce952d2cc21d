"""What a client is told when the proxy itself fails: how far its request came, and what it may do now."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from onceproxy.admin.metrics import Metrics
from onceproxy.config.model import Settings
from onceproxy.core.attempts import Attempt
from onceproxy.core.messages import Request
from onceproxy.core.receipts import Action, Claim, Receipt
from onceproxy.core.rules import IdentityRules
from onceproxy.core.users import EVERYBODY
from onceproxy.guard.guard import Guard
from onceproxy.guard.ports import NoMeter
from onceproxy.ingress.limits import ClientLimits
from onceproxy.ingress.listener import Listener
from onceproxy.ingress.ports import OpenResponse
from onceproxy.wiring import ingress_rules
from raw_client import a_request, connected
from simulated_store import SimulatedStore

TARGET = "http://127.0.0.1/pay"
UNGUARDED: dict[str, Any] = {"name": "unguarded", "match": {"path": "/pay/unguarded"}, "guard": False}


class Fault(Exception):
    """A fault of ours."""


class FaultyStore(SimulatedStore):
    async def claim(self, action: Action) -> Claim | Receipt:
        raise Fault


class FaultyWayOut:
    def check(self, *_: Any) -> None:
        pass

    async def open(self, *_: Any, **__: Any) -> OpenResponse:
        raise Fault

    async def tunnel(self, *_: Any) -> asyncio.Protocol:
        raise Fault

    async def send(self, *_: Any, **__: Any) -> Attempt:
        raise Fault


class FaultyLeaves:
    def context_for(self, host: str) -> ssl.SSLContext:
        raise Fault


def faulty_credential(request: Request, rules: IdentityRules) -> bytes:
    if any(name == b"X-Fault" for name, _ in request.headers):
        raise Fault
    return b""


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A listener all of whose parts fail."""
    out = FaultyWayOut()
    listener = Listener(
        Guard(FaultyStore(), out),
        out,
        FaultyLeaves(),
        faulty_credential,
        ingress_rules(Settings.model_validate({"routes": [UNGUARDED]}), EVERYBODY),
        intercept=("*",),
        meter=Metrics(),
        passthrough=(),
        limits=ClientLimits(),
        hit=NoMeter().limit_hit,
    )
    port = await listener.listen("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}"
    await listener.close(0)


@pytest.mark.parametrize(
    ("request_bytes", "words"),
    [
        (a_request("POST", TARGET, "X-Fault: 1", body=b""), "Nothing was sent. Retrying is safe."),
        (a_request("POST", TARGET, body=b""), "will not be sent twice"),
        (a_request("GET", TARGET), "asks for nothing to be done"),
        (a_request("POST", f"{TARGET}/unguarded", body=b""), "nothing guards it"),
        (a_request("CONNECT", "api.example:443"), "Nothing was sent. Retrying is safe."),
    ],
)
async def test_the_client_is_told_what_may_have_been_sent(url: str, request_bytes: bytes, words: str) -> None:
    async with connected(url) as client:
        reply = await client.ask(request_bytes)

        assert (reply.status, reply.slug) == (500, "internal-error")
        assert words in reply.problem()["detail"]
        assert await client.ended()
