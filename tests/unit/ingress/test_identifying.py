"""Identity is made beside the event loop where it takes long."""

from __future__ import annotations

import gzip
import threading
from typing import Any

import pytest

from identity_requests import post, with_headers
from onceproxy.core.identity import examine as core_examine
from onceproxy.core.messages import Request
from onceproxy.core.routes import Route
from onceproxy.core.rules import IdentityRules, Missing
from onceproxy.ingress import identifying
from onceproxy.ingress.identifying import INLINE, examine_arrived, passes_by
from onceproxy.ingress.incoming import Incoming

WANTED = IdentityRules(missing=Missing.PASS)


def arrived(request: Request) -> Incoming:
    return Incoming(request, user="run-42", action=None, upgrade=None)


@pytest.mark.parametrize(
    ("request_", "beside"),
    [
        (post(b'{"a": 1}'), False),
        (post(b" " * INLINE), False),
        (post(b" " * (INLINE + 1)), True),
        (with_headers(post(gzip.compress(b"{}")), (b"Content-Encoding", b"gzip")), True),
    ],
)
async def test_large_and_coded_bodies_are_read_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, request_: Request, beside: bool
) -> None:
    threads: list[int] = []

    def spied(*arguments: Any, **named: Any) -> Any:
        threads.append(threading.get_ident())
        return core_examine(*arguments, **named)

    monkeypatch.setattr(identifying, "examine", spied)

    examined = await examine_arrived(request_, arrived(request_), Route())

    assert examined is not None
    assert examined.identity.scope == ("user:run-42",)
    assert (threads != [threading.get_ident()]) is beside


@pytest.mark.parametrize(
    ("lines", "passes"),
    [((), True), (((b"Idempotency-Key", b"k"),), False), (((b"Idempotency-Key", b""),), False)],
)
def test_the_head_alone_may_tell_that_there_is_no_key(
    lines: tuple[tuple[bytes, bytes], ...], passes: bool
) -> None:
    assert passes_by(with_headers(post(), *lines), WANTED) is passes
    assert not passes_by(with_headers(post(), *lines), IdentityRules())
