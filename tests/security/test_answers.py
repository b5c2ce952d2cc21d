"""Each hostile answer, to an action and to a read: taken or refused, and the next answer is its own.

The upstream does not close the connection behind it where it can help it, so a proxy that used it again would
read what is left there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

import pytest
import pytest_asyncio

from listening import Listening
from raw_client import PATIENCE, RawClient, Reply, a_request, connected
from security.answers import AnswerClass, HostileAnswer, read_answers
from security.line import Line

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLASSES = list(read_answers())
AT_ONCE = 16

_numbers = count()


@dataclass
class Answering:
    """An upstream that answers its targets as is laid down for them, and with its target to all others."""

    url: str = ""
    due: dict[str, HostileAnswer] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"Content-Length: 1\r\n" in head:
                await reader.readexactly(1)
            target = head.split(b" ", 2)[1].decode()
            self.seen.append(target)
            answer = self.due.get(target)
            told = target.encode()
            plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told)
            writer.write(plain if answer is None else answer.raw)
            await writer.drain()
            if answer is not None and answer.closes:
                return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[Answering]:
    """An upstream for all tests of the module."""
    upstream = Answering()
    listening = Listening(upstream.talk)
    upstream.url = f"http://127.0.0.1:{await listening.on_port()}"
    yield upstream
    await listening.end()


@pytest.mark.parametrize("answers", CLASSES, ids=lambda one: one.name)
async def test_an_answer_is_taken_or_refused_and_the_next_is_its_own(
    wire: Line, upstream: Answering, answers: AnswerClass
) -> None:
    wrong: list[str] = []
    room = asyncio.Semaphore(AT_ONCE)

    async def one(item: HostileAnswer, method: str) -> None:
        async with room:
            wrong.extend(
                [
                    f"{item.name} ({method}): {what[:600]}"
                    for what in await _tried(wire, upstream, item, method)
                ]
            )

    async with asyncio.TaskGroup() as tasks:
        for item in answers.answers:
            for method in item.methods:
                tasks.create_task(one(item, method))

    assert not wrong, "\n".join(wrong)


async def _tried(wire: Line, upstream: Answering, item: HostileAnswer, method: str) -> list[str]:
    target = f"/{next(_numbers)}"
    upstream.due[target] = item
    request = a_request(method, upstream.url + target, body=b"x" if method == "POST" else None)
    reply = await _asked(wire, request, method)
    wrong = _judged(reply, item)
    for number in range(3):
        after = f"/after-{next(_numbers)}"
        answer = await _asked(wire, a_request("GET", upstream.url + after), "GET")
        if answer is None or answer.body != after.encode():
            wrong.append(f"poisoned {number}: {answer!r}")
    if method == "POST":
        copy = await _asked(wire, request, method)
        settled = copy is not None and (copy.status == 409 if item.taken is None else _replays(copy, reply))
        if not settled:
            wrong.append(f"a copy got {copy!r} instead of {reply!r}")
        if upstream.seen.count(target) != 1:
            wrong.append("executed again")
    return wrong


def _judged(reply: Reply | None, item: HostileAnswer) -> list[str]:
    if item.taken is None:
        # A read is passed on while it arrives: it may be cut, but never whole.
        refused = reply is None or (reply.status == 502 and reply.slug == "upstream-failed")
        return [] if refused else [f"taken: {reply!r}"]
    if reply is None:
        return ["cut"]
    wrong = []
    if (reply.status, reply.body) != (item.taken.status, item.taken.body.encode("latin-1")):
        wrong.append(f"not what was sent: {reply!r}")
    lines = [f"{name}: {value}" for name, value in reply.headers]
    wrong += [f"has {line}" for line in item.taken.lacks if line in lines]
    return wrong


def _replays(copy: Reply, reply: Reply | None) -> bool:
    """Say whether a copy got the first answer again; that may have come in chunks, and has a length now."""
    return reply is not None and copy.replayed and (copy.status, copy.body) == (reply.status, reply.body)


async def _asked(wire: Line, request: bytes, method: str) -> Reply | None:
    """Ask, and return the answer; None if it is cut."""
    try:
        async with asyncio.timeout(PATIENCE), connected(wire.proxy) as client:
            await client.send(request)
            return await _final(client, method)
    except (ConnectionError, asyncio.IncompleteReadError):
        return None


async def _final(client: RawClient, method: str) -> Reply:
    reply = await client.reply(to=method)
    while reply.status < 200:
        reply = await client.reply(to=method)
    return reply
