"""What benchmarks make of what they measure; the measuring is theirs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import pytest

from benchmarks.asking import Target, copies, mutations, retold
from benchmarks.counted import Counted
from benchmarks.load import Load, Ran, Way
from benchmarks.memory import Held
from benchmarks.rounds import Spread, Wrong
from benchmarks.tables import Figure, sections_of
from benchmarks.upstream import Upstream

TARGET = Target("http://127.0.0.1:1", "127.0.0.1:1")


def test_copies_that_are_told_anew_differ_in_a_header_line_alone() -> None:
    asks = retold(copies(TARGET, "key", replayed=True))
    plain = copies(TARGET, "key", replayed=True)
    sent = []
    for number in range(1, 4):
        ask, known = asks(), plain()
        head, _, body = ask.sent.partition(b"\r\n\r\n")
        *lines, last = head.split(b"\r\n")
        assert (b"\r\n".join(lines), body) == known.sent.partition(b"\r\n\r\n")[::2]
        assert (last, ask.body, ask.replayed) == (b"X-Try: %d" % number, known.body, True)
        sent.append(ask.sent)
    assert len(set(sent)) == 3


def test_what_one_takes_is_told_while_it_lasts_or_else_at_the_most() -> None:
    assert Held(count=10, rest=10 << 20, lasting=11 << 20, peak=20 << 20).each == 102.4
    assert Held(count=10, rest=10 << 20, lasting=None, peak=20 << 20).each == 1024


def test_a_ratio_is_reached_by_its_median() -> None:
    ratio = Spread((3.0, 8.0, 10.0)) / Spread((2.0, 4.0, 1.0))
    assert ratio.values == (1.5, 2.0, 10.0)
    assert Figure.of("", ratio, 2.0).row == ("", "1.50–2.00–10.0", "≥ 2", "yes")
    assert Figure.of("", ratio, 1.9, below=True).row == ("", "1.50–2.00–10.0", "≤ 1.9", "no")
    assert Figure.of("", ratio).reached is None


async def load_of(reply: bytes, *, replayed: bool = False) -> None:
    """Send one request to who answers with ``reply``, and closes the connection where that is nothing."""
    held: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        if not reply:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        asks = copies(TARGET, "key", replayed=True) if replayed else mutations(TARGET)
        try:
            await Load(Way(port), asks, 1, most=1)(60.0)
        finally:
            for writer in held:
                writer.close()


RIGHT = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
MARK = b"Idempotency-Replayed: true\r\n\r\n"
REPLAYED = RIGHT[:-3] + MARK + b"0"  # the copies of a load begin with number 0, what is new with 1


@pytest.mark.parametrize(("reply", "replayed"), [(RIGHT, False), (REPLAYED, True)])
async def test_a_right_answer_counts(reply: bytes, replayed: bool) -> None:
    await load_of(reply, replayed=replayed)


@pytest.mark.parametrize(
    ("reply", "replayed"),
    [
        (RIGHT.replace(b"200", b"500"), False),
        (RIGHT[:-1] + b"2", False),
        (RIGHT[:-3] + MARK + b"1", False),
        (RIGHT[:-1] + b"0", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", False),
        (b"", False),
    ],
    ids=["status", "body", "a replay", "no replay", "no length", "no answer"],
)
async def test_a_wrong_answer_ends_the_run(reply: bytes, replayed: bool) -> None:
    with pytest.raises(Wrong):
        await load_of(reply, replayed=replayed)


@dataclass
class Seen:
    """An upstream that says how many requests it has seen."""

    before: int
    after: int

    def requests(self) -> int:
        now, self.before = self.before, self.after
        return now


@pytest.mark.parametrize("seen", [0, 2])
async def test_what_the_upstream_saw_more_or_less_often_ends_the_run(seen: int) -> None:
    class Answered(Load):
        async def __call__(self, seconds: float) -> float:
            self.runs.append(Ran(1, 1.0, 0.1, 0.1))
            return 1.0

    load = Answered(Way(1), mutations(TARGET), 1)
    assert await Counted(load, cast(Upstream, Seen(7, 7 + 1 + 1)))(1.0) == 1.0
    with pytest.raises(Wrong):
        await Counted(load, cast(Upstream, Seen(7, 7 + seen + 1)))(1.0)


def test_what_a_part_found_earlier_stays_on_the_page() -> None:
    measured = "\n\n### One\n\ntext\n\n| a |\n\n### Two\n\nmore\n\n"
    assert sections_of(measured) == {"One": "### One\n\ntext\n\n| a |", "Two": "### Two\n\nmore"}
