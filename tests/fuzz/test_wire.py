"""Requests of the corpus with random changes, in random pieces, on real sockets.

Nobody knows what should become of them. But what comes out behind is well-formed to the byte and was asked
for, as an independent parser reads it; no answer is a 5xx of ours; and the connection ends.
"""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from itertools import count

import pytest

from fuzz.effort import EXAMPLES, FOUND
from fuzz.mutations import Read, as_another_reads, mutated
from raw_client import connected
from security.hostile import LEAVE, PAUSE, End, filled, read
from security.line import Line
from security.sending import NAMED

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEEDS = [
    item.raw.replace(LEAVE, b"").replace(PAUSE, b"")
    for one in read()
    for item in one.inputs
    if b"://" not in item.raw and b"@<" not in item.raw
    if len(item.raw) < 1000 and item.expected.end is not End.CUT
]
IN_CI = 400
AT_ONCE = 16
QUIET = 0.05  # seconds of silence after which the client leaves; nothing depends on what came till then
PATIENCE = 20.0  # seconds until a connection counts as hung

_numbers = count()


class Finding(Exception):
    """An input that did what none may do."""


async def test_changed_requests(wire: Line) -> None:
    seed = int(os.environ.get("ONCEPROXY_FUZZ_SEED", "0")) or (random.getrandbits(32) if EXAMPLES else 1)
    chance = random.Random(seed)
    waiting = [(mutated(chance, SEEDS), random.Random(chance.random())) for _ in range(EXAMPLES or IN_CI)]
    findings: list[str] = []

    async def some() -> None:
        while waiting:
            data, pieces = waiting.pop()
            try:
                await _try(wire, data, pieces)
            except Finding as finding:
                _keep(data)
                findings.append(f"{finding}: {data!r}")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(some())

    assert not findings, f"seed {seed}:\n" + "\n".join(findings[:20])


async def _try(wire: Line, template: bytes, chance: random.Random) -> None:
    number = next(_numbers)
    marks = {str(n): f"f{number:06}n{n}" for n in range(1, 10)}
    data = filled(template, "/mount", wire.plain.host, marks)
    if b"://" in data or b"CONNECT" in data:
        return  # it could lead elsewhere
    answers = await _answers(wire, data, chance)
    if faults := wire.plain.take_faults():
        raise Finding(f"malformed upstream: {faults}")
    mine = [one for one in wire.plain.requests if f"f{number:06}n".encode() in one.raw]
    wire.plain.requests = [one for one in wire.plain.requests if one not in mine]
    meant = as_another_reads(data)
    if not _within([Read(one.method.encode(), one.body) for one in mine], meant):
        raise Finding(f"upstream: {[one.raw for one in mine]}, meant: {meant}")
    for line in answers.split(b"\r\n"):
        if line.startswith(b"HTTP/1.1 5") and int(line[9:12]) not in NAMED:
            raise Finding(f"answered: {answers!r}")


async def _answers(wire: Line, data: bytes, chance: random.Random) -> bytes:
    answers = b""
    try:
        async with asyncio.timeout(PATIENCE), connected(wire.proxy) as client:
            while data:
                size = chance.choice((1, 7, 40, len(data), len(data)))
                await client.send(data[:size])
                data = data[size:]
                await asyncio.sleep(0)
            with suppress(TimeoutError):
                while more := await asyncio.wait_for(client.reader.read(1 << 16), QUIET):
                    answers += more
            if not client.writer.is_closing():
                client.writer.write_eof()
            answers += await client.reader.read()
    except TimeoutError:
        raise Finding("hung") from None
    except (ConnectionError, OSError):
        pass  # closed while it was being sent
    return answers


def _within(some: list[Read], all_of_them: list[Read]) -> bool:
    """Say whether some are among all, in their order. What was not sent was refused, or is a replay."""
    rest = iter(all_of_them)
    return all(one in rest for one in some)


def _keep(data: bytes) -> None:
    if EXAMPLES:
        place = FOUND / "wire"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{random.getrandbits(48):012x}.raw").write_bytes(data)
