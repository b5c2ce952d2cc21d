"""The embedded server: shared, found again after a kill, and gone when nobody needs it."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import asyncpg
import pytest

from onceproxy.store.cluster import Cluster
from onceproxy.store.embedded import start_embedded
from onceproxy.store.errors import EmbeddedFailed


async def answers(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetchval("SELECT current_database()") == "onceproxy")
    finally:
        await connection.close()


async def test_the_first_starts_it_and_the_last_stops_it(tmp_path: Path) -> None:
    first, second = await asyncio.gather(start_embedded(tmp_path), start_embedded(tmp_path))
    pid = first.pid
    assert pid is not None
    assert second.pid == pid
    assert first.url == second.url

    await first.stop()
    await first.stop()
    assert second.pid == pid
    assert await answers(second.url)

    await second.stop()
    assert second.pid is None


async def test_a_killed_user_leaves_a_server_that_the_next_one_finds(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from onceproxy.store.embedded import start_embedded

async def main():
    server = await start_embedded(Path({str(tmp_path)!r}))
    print(server.pid, flush=True)
    await asyncio.sleep(100)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    process.kill()
    await process.wait()

    server = await start_embedded(tmp_path)

    assert server.pid == pid
    assert await answers(server.url)
    await server.stop()
    assert server.pid is None


async def test_a_server_that_was_killed_is_started_again_with_its_data(tmp_path: Path) -> None:
    server = await start_embedded(tmp_path)
    connection = await asyncpg.connect(server.url)
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    connection.terminate()

    again = await start_embedded(tmp_path)

    connection = await asyncpg.connect(again.url)
    assert await connection.fetchval("SELECT one FROM kept") == 1
    await connection.close()
    await server.stop()
    await again.stop()
    assert again.pid is None


async def test_a_stale_pid_that_is_another_process_deceives_nobody(tmp_path: Path) -> None:
    server = await start_embedded(tmp_path)
    await server.stop()
    cluster = tmp_path / "postgres"
    # Of the server's own user: another's would not deceive Postgres.
    owner = cluster.stat().st_uid if os.geteuid() == 0 else None
    bystander = await asyncio.create_subprocess_exec("sleep", "100", user=owner)
    (cluster / "postmaster.pid").write_text(f"{bystander.pid}\n{cluster}\n1\n5432\n{cluster}\n\n\nready\n")

    server = await start_embedded(tmp_path)

    assert server.pid not in (None, bystander.pid)
    assert await answers(server.url)
    await server.stop()
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_a_first_start_that_was_cut_short_leaves_no_ruin(tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("18\n")

    server = await start_embedded(tmp_path)

    assert await answers(server.url)
    await server.stop()
    assert not (tmp_path / "postgres.new").exists()


async def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("a directory, with 'odd' characters " * 3) / ("x" * 60)
    server = await start_embedded(deep)

    assert await answers(server.url)
    place = Cluster(deep / "postgres").socket_dir
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    await server.stop()
    place.rmdir()


async def test_nobody_else_can_connect(tmp_path: Path) -> None:
    server = await start_embedded(tmp_path)

    assert stat.S_IMODE((tmp_path / "postgres").stat().st_mode) == 0o700
    connection = await asyncpg.connect(server.url)
    assert await connection.fetchval("SHOW listen_addresses") == ""
    await connection.close()
    await server.stop()


async def test_a_server_that_can_not_start_shows_its_log(tmp_path: Path) -> None:
    await (await start_embedded(tmp_path)).stop()
    (tmp_path / "postgres" / "postgresql.auto.conf").write_text("shared_buffers = 'nonsense'\n")

    with pytest.raises(EmbeddedFailed, match=r"(?s)pg_ctl .*failed.*nonsense"):
        await start_embedded(tmp_path)


async def test_another_version_s_cluster_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.6\n")

    with pytest.raises(EmbeddedFailed, match=r"made by Postgres 9\.6"):
        await start_embedded(tmp_path)


async def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedFailed, match="can't be set up"):
        await start_embedded(tmp_path / "file")
