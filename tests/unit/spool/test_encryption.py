"""Records on the disk are encrypted, and come back as they were kept or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from onceproxy.core.messages import BytesBody, Response
from onceproxy.guard.ports import Unstored
from onceproxy.sealing.bodies import SEGMENT
from onceproxy.sealing.keyring import Key, Keyring
from onceproxy.spool.directory import SpoolDirectory
from stores import completed, in_doubt, released
from unit.spool.conftest import waiting

CANARY = b"xyzzy-canary"
RING = Keyring([Key("k1", b"1" * 32)])


def spool_in(directory: Path, ring: Keyring) -> SpoolDirectory:
    return SpoolDirectory(directory / "spool", b"k" * 32, 1 << 22, ring)


async def found(directory: Path, ring: Keyring) -> list[Unstored]:
    return [unstored async for unstored in spool_in(directory, ring).left_behind()]


def record(directory: Path) -> Path:
    [path] = (directory / "spool").glob("*.receipt")
    return path


def an_answer(times: int) -> Response:
    return Response(201, CANARY, ((b"X", CANARY),), BytesBody(CANARY * times))


@pytest.mark.parametrize("times", [0, 1, 3 * SEGMENT // len(CANARY)])
async def test_there_and_back(tmp_path: Path, times: int) -> None:
    await spool_in(tmp_path, RING).keep(waiting(completed(an_answer(times))))

    assert CANARY not in record(tmp_path).read_bytes()
    [left] = await found(tmp_path, RING)
    assert left.settlement.response is not None
    assert left.settlement.response.body.read() == CANARY * times
    assert left.settlement.response.headers == ((b"X", CANARY),)


@pytest.mark.parametrize("settlement", [completed(keep_body=False), in_doubt(500), in_doubt(), released()])
async def test_other_settlements(tmp_path: Path, settlement: object) -> None:
    unstored = waiting(settlement)  # type: ignore[arg-type]
    await spool_in(tmp_path, RING).keep(unstored)

    assert b"ch_1" not in record(tmp_path).read_bytes()
    [left] = await found(tmp_path, RING)
    assert left.settlement.outcome == unstored.settlement.outcome
    assert (left.settlement.response is None) is (unstored.settlement.response is None)


async def test_without_the_key_a_record_is_left_where_it_is(tmp_path: Path) -> None:
    await spool_in(tmp_path, RING).keep(waiting(completed(an_answer(1))))

    assert await found(tmp_path, Keyring([Key("k2", b"2" * 32)])) == []
    assert len(await found(tmp_path, RING)) == 1


async def test_what_was_kept_in_the_clear_is_read(tmp_path: Path) -> None:
    await spool_in(tmp_path, Keyring()).keep(waiting(completed(an_answer(1))))

    assert CANARY in record(tmp_path).read_bytes()
    assert len(await found(tmp_path, RING)) == 1
