"""Send one hostile input in one way, and compare what comes of it with what is expected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from raw_client import RawClient, Reply, connected
from security.hostile import (
    FORWARD,
    LEAVE,
    MOUNT,
    PAUSE,
    PROBLEMS,
    TUNNEL,
    End,
    Expected,
    Hostile,
    Sent,
    filled,
)
from security.line import Line
from security.recorder import Recorded

PATIENCE = 20.0  # seconds until an input counts as hung
NAMED = frozenset({501, 505})
"""The only statuses of ours from 500 on that an input may get: it asks for what is not there."""

AT_ONCE = 24

_SENTINEL = "9"
_numbers = count()


async def _send(client: RawClient, data: bytes) -> None:
    for piece in data.split(PAUSE):
        await client.send(piece)
        for _ in range(50):  # rounds of the loop that the proxy runs on as well
            await asyncio.sleep(0)


@dataclass
class Trial:
    """One input on its way. ``wrong`` gathers what was not as expected."""

    line: Line
    way: str
    item: Hostile
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        number = next(_numbers)
        self.recorder = self.line.secure if self.way == TUNNEL else self.line.plain
        self.base = {FORWARD: f"http://{self.recorder.host}", TUNNEL: "", MOUNT: "/mount"}[self.way]
        self.marks = {str(n): f"m{number:05}n{n}" for n in range(1, 10)}
        self.expected: Expected = self.item.by(self.way)

    async def run(self) -> None:
        """Send it, read what comes back, and look at what came out behind."""
        try:
            async with asyncio.timeout(PATIENCE), self._connection() as client:
                await self._talk(client)
        except TimeoutError:
            self.wrong.append("it hung")
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self.wrong.append(f"the connection broke: {error!r}")
        self.wrong += self._judge()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[RawClient]:
        async with connected(self.line.proxy) as client:
            if self.way == TUNNEL:
                assert (await client.connect(self.recorder.host)).status == 200
                await client.secure(self.line.context, "localhost")
            yield client

    async def _talk(self, client: RawClient) -> None:
        first, *others = self.item.bytes(self.base, self.recorder.host, self.marks).split(LEAVE)
        await _send(client, first)
        for later in others:
            if (leave := await client.reply()).status != 100:
                self.wrong.append(f"no leave to go on: {leave!r}")
                return
            await _send(client, later)
        if self.expected.end is End.CUT:
            await self._leave(client)
            return
        replies = [reply async for reply in self._replies(client)]
        last = replies[-1] if replies else None
        if last is not None and last.all("Connection") == ["close"]:
            if self.expected.end in (End.ANSWERED, End.TOLD):
                self.wrong.append(f"closed: {last.head!r}{last.body!r}")
            if not await client.ended():
                self.wrong.append("something came behind the end")
        else:
            if self.expected.end in (End.REFUSED, End.PERHAPS, End.CLOSED):
                self.wrong.append(f"kept open: {replies!r}")
            await self._ask_once_more(client)

    async def _replies(self, client: RawClient) -> AsyncIterator[Reply]:
        due: list[tuple[Sent | None, str]] = [(sent, sent.method) for sent in self.expected.sent]
        if self.expected.end in PROBLEMS:
            due.append((None, "POST"))
        for sent, method in due:
            reply = await client.reply(to=method)
            while reply.status == 100:
                reply = await client.reply(to=method)
            yield reply
            if reply.all("Proxy-Status"):
                self._judge_problem(reply)
            elif sent is None:
                self.wrong.append(f"no problem: {reply!r}")
            elif method != "HEAD" and reply.body.decode("latin-1") != self._target(sent):
                self.wrong.append(f"not its own answer: {reply!r}")
            if reply.all("Proxy-Status") or reply.all("Connection") == ["close"]:
                return

    def _judge_problem(self, reply: Reply) -> None:
        reply.problem()
        if self.expected.end not in PROBLEMS or reply.status not in self.expected.status:
            self.wrong.append(f"{reply.status} {reply.body!r}")
        if reply.status >= 500 and reply.status not in NAMED:
            self.wrong.append(f"a {reply.status} of ours")

    async def _ask_once_more(self, client: RawClient) -> None:
        """Send a read behind it: were the proxy still amid something, it would be taken for that."""
        mark = self.marks[_SENTINEL]
        sentinel = f"GET {self.base}/{mark} HTTP/1.1\r\nHost: {self.recorder.host}\r\n\r\n"
        reply = await client.ask(sentinel.encode())
        if (reply.status, reply.body) != (200, f"/{mark}".encode()):
            self.wrong.append(f"not the sentinel's answer: {reply!r}")
        if [one.target for one in self.recorder.of(mark)] != [f"/{mark}"]:
            self.wrong.append("the sentinel is not upstream")

    async def _leave(self, client: RawClient) -> None:
        if client.writer.can_write_eof():
            client.writer.write_eof()
            await client.reader.read()
        else:
            await client.close()

    def _judge(self) -> Iterator[str]:
        """Compare what came out behind the proxy with what was meant to."""
        got = [one for one in self.recorder.requests if self._is_mine(one)]
        due = self.expected.sent
        if self.expected.end is End.PERHAPS and len(got) < len(due):
            due = due[: len(got)]
        if len(got) != len(due):
            yield f"{len(got)} requests upstream, not {len(due)}: {[one.raw for one in got]!r}"
            return
        for one, sent in zip(got, due, strict=True):
            yield from self._compare(one, sent)

    def _is_mine(self, one: Recorded) -> bool:
        sentinel = self.marks[_SENTINEL].encode()
        return self.marks["1"][:-1].encode() in one.raw and sentinel not in one.raw

    def _compare(self, one: Recorded, sent: Sent) -> Iterator[str]:
        want = (sent.method, self._target(sent), self._text(sent.body).encode("latin-1"))
        if (one.method, one.target, one.body) != want:
            yield f"not what was meant: {one!r}, {want!r}"
        lines = [b"%s: %s" % line for line in one.headers]
        if lacking := [text for text in sent.has if self._text(text).encode("latin-1") not in lines]:
            yield f"lacks {lacking}: {one.raw!r}"
        if unwanted := [text for text in sent.lacks if self._text(text).encode("latin-1") in lines]:
            yield f"has {unwanted}: {one.raw!r}"
        head = one.raw.removesuffix(one.body)
        if others := [n for n, mark in self.marks.items() if n != sent.mark and mark.encode() in head]:
            yield f"holds bytes of the requests {others}: {one.raw!r}"

    def _target(self, sent: Sent) -> str:
        return self._text(sent.target or f"/@{sent.mark}@")

    def _text(self, text: str) -> str:
        return filled(text.encode("latin-1"), self.base, self.recorder.host, self.marks).decode("latin-1")


async def run_all(trials: Sequence[Trial]) -> list[str]:
    """Run trials, so many at once, and return what was wrong with them."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(trial: Trial) -> None:
        async with room:
            await trial.run()

    async with asyncio.TaskGroup() as tasks:
        for trial in trials:
            tasks.create_task(one(trial))
    return [f"{trial.item.name}: {what[:600]}" for trial in trials for what in trial.wrong]
