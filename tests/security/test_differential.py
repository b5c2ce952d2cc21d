"""nginx and Node read what comes out behind the proxy as the strict recorder does.

What the recorder took down of the corpus is sent to them byte for byte, each request with another one right
behind it: where they would see another end of the first, the second would not be what it is.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from security.hostile import WAYS, read
from security.line import Line
from security.peers import Nginx, Node, Peer, Seen, installed, running
from security.recorder import Recorded
from security.sending import Trial, run_all

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRICTER = re.compile(r"/\.\./|/%2e%2e/|\*|.*%zz|.*%00")
"""Targets that nginx refuses: it maps them to files."""
BEHIND = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("kind", [Nginx, Node], ids=lambda kind: kind.name)
async def test_others_read_the_same(wire: Line, tmp_path: Path, kind: type[Peer]) -> None:
    if not installed(kind):
        pytest.skip(f"{kind.name} is not installed")
    recorded = await _what_came_out(wire)
    assert len(recorded) > 300

    async with running(kind, tmp_path) as peer:
        wrong = [f"{one.raw!r}: {what}" for one in recorded if (what := await _differs(peer, one))]

    assert not wrong, "\n".join(wrong[:20])


async def _what_came_out(wire: Line) -> list[Recorded]:
    """Send what is to be sent of the corpus, in all ways, and return what the recorders took down."""
    items = [item for inputs in read() for item in inputs.inputs]
    await run_all([Trial(wire, way, item) for way in WAYS for item in items if item.by(way).sent])
    recorded = wire.plain.requests + wire.secure.requests
    wire.plain.requests, wire.secure.requests = [], []
    return recorded


async def _differs(peer: Peer, one: Recorded) -> str:
    """Return how a server reads a request otherwise; nothing where it does not."""
    # Behind a request to switch protocols there is no HTTP to some.
    behind = b"" if one.values("upgrade") else BEHIND
    seen = await peer.hears(one.raw + behind, requests=2 if behind else 1)
    if seen is None:
        refused = peer.name == "nginx" and STRICTER.match(one.target) is not None
        return "" if refused else "refused"
    targets = [request.target for request in seen]
    if targets != [one.target, *(["/behind"] if behind else [])]:
        return f"read as {seen}"
    return _difference(seen[0], one)


def _difference(seen: Seen, one: Recorded) -> str:
    if (seen.method, seen.target, seen.body) != (one.method, one.target, one.body):
        return f"read as {seen}"
    if seen.size is not None and seen.size != len(one.raw):
        return f"{seen.size} bytes, not {len(one.raw)}"
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in one.headers)
    if seen.headers is not None and seen.headers != headers:
        return f"headers read as {seen.headers}"
    return ""
