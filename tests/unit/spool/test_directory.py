"""The directory: durable in the right order, bounded, and nothing in it is lost or believed for nothing."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from onceproxy.core.messages import BytesBody, Response
from onceproxy.guard.ports import SpoolUnavailable, Unstored
from onceproxy.spool.directory import SpoolDirectory
from stores import completed, in_doubt
from unit.spool.conftest import a_claim, waiting

KEY = b"k" * 32


def spool_in(directory: Path, *, key: bytes = KEY, limit: int = 1 << 20) -> SpoolDirectory:
    return SpoolDirectory(directory / "spool", key, limit)


async def found(directory: Path, **changes: Any) -> list[Unstored]:
    """What another process finds."""
    return [unstored async for unstored in spool_in(directory, **changes).left_behind()]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "spool").iterdir())


async def test_what_is_kept_is_there_for_the_next_process(tmp_path: Path) -> None:
    await spool_in(tmp_path).keep(waiting(completed()))

    [left] = await found(tmp_path)

    assert left.claim == a_claim()
    assert left.settlement.attempt.response is not None
    assert left.settlement.attempt.response.body.read() == b'{"id": "ch_1"}'


async def test_a_process_does_not_find_what_it_still_holds_itself(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    await spool.keep(waiting(completed()))

    assert [unstored async for unstored in spool.left_behind()] == []


async def test_what_is_stored_is_removed_and_that_may_be_said_twice(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    await spool.keep(waiting(completed()))
    await spool.keep(waiting(completed()))

    await spool.remove(a_claim())
    await spool.remove(a_claim())

    assert await found(tmp_path) == []


async def test_a_body_can_be_read_after_another_process_has_removed_the_record(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    await spool.keep(waiting(completed()))
    [left] = await found(tmp_path)

    await spool.remove(a_claim())

    assert left.settlement.attempt.response is not None
    assert left.settlement.attempt.response.body.read() == b'{"id": "ch_1"}'


async def test_the_file_is_on_the_disk_before_its_name_and_its_name_before_keep_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        mode = os.fstat(descriptor).st_mode
        size = os.fstat(descriptor).st_size
        done.append("directory" if stat.S_ISDIR(mode) else f"file of {size}")
        fsync(descriptor)

    def watched_replace(source: Path, target: Path) -> None:
        done.append("rename")
        replace(source, target)

    spool = spool_in(tmp_path)
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    await spool.keep(waiting(completed()))
    done.append("kept")

    [name] = files(tmp_path)
    size = (tmp_path / "spool" / name).stat().st_size
    # The first one is the parent, in which the spool itself was made.
    assert done == ["directory", f"file of {size}", "rename", "directory", "kept"]


async def test_others_can_neither_list_nor_read_it(tmp_path: Path) -> None:
    await spool_in(tmp_path).keep(waiting(completed()))

    directory = tmp_path / "spool"
    assert directory.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in directory.iterdir())


async def test_what_does_not_fit_is_refused_until_there_is_room(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, limit=50_000)
    large = completed(Response(200, b"", (), BytesBody(b"x" * 30_000)))
    await spool.keep(waiting(large, 1))

    with pytest.raises(SpoolUnavailable, match=r"limits\.spool"):
        await spool.keep(waiting(large, 2))
    assert [left.claim for left in await found(tmp_path)] == [a_claim(1)]

    await spool.remove(a_claim(1))
    await spool.keep(waiting(large, 2))
    assert [left.claim for left in await found(tmp_path)] == [a_claim(2)]


async def test_a_disk_that_fails_keeps_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = spool_in(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    await spool.keep(waiting(completed(), 1))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(SpoolUnavailable, match="No space left"):
            await spool.keep(waiting(completed(), 2))

    assert files(tmp_path) == [f"{a_claim(1).token}.receipt"]


async def test_a_corrupt_record_is_set_aside_and_the_others_are_found(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    for number in (1, 2, 3):
        await spool.keep(waiting(in_doubt(500), number))
    path = tmp_path / "spool" / f"{a_claim(2).token}.receipt"
    content = path.read_bytes()
    path.write_bytes(content[:-1])

    with capture_logs() as logs:
        assert [left.claim for left in await found(tmp_path)] == [a_claim(1), a_claim(3)]
    assert not path.exists()
    assert (tmp_path / "spool" / "corrupt" / path.name).read_bytes() == content[:-1]
    assert [line["event"] for line in logs] == ["spooled-record-corrupt"]


async def test_records_of_another_database_stay_where_they_are(tmp_path: Path) -> None:
    await spool_in(tmp_path).keep(waiting(completed()))

    with capture_logs() as logs:
        assert await found(tmp_path, key=b"o" * 32) == []
    assert [line["error"] for line in logs] == ["it belongs to another database"]
    assert [left.claim for left in await found(tmp_path)] == [a_claim()]


async def test_a_file_that_was_never_finished_is_no_record_and_goes_in_time(tmp_path: Path) -> None:
    await spool_in(tmp_path).keep(waiting(completed()))
    unfinished = tmp_path / "spool" / "torn.new"
    unfinished.write_bytes(b"onceproxy spool 1\nhalf")

    assert [left.claim for left in await found(tmp_path)] == [a_claim()]
    assert unfinished.exists()  # its writer may be alive

    os.utime(unfinished, (0, 0))
    await found(tmp_path)
    assert not unfinished.exists()
