"""What keeps a proxy from starting: one clear line, the right exit code, and nothing left half-done."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from faults.conftest import Serve, StartProxy
from integration.store.relay import Relay
from proxies import ProxyProcess
from raw_client import post
from upstreams import Upstream


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


@pytest.mark.parametrize("database", ["embedded", None])
async def test_a_port_that_is_taken(serve: Serve, taken: int, database: str | None, tmp_path: Path) -> None:
    arguments = ("--database", database) if database else ()
    ended = await serve(*arguments, "--listen", f"127.0.0.1:{taken}")

    assert (ended.code, ended.out) == (1, "")
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"onceproxy: listen: can't listen on 127.0.0.1:{taken} (")
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()


async def test_an_admin_port_that_is_taken(serve: Serve, taken: int) -> None:
    ended = await serve(env={"ONCEPROXY_ADMIN_LISTEN": f"127.0.0.1:{taken}"})

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"onceproxy: admin.listen: can't listen on 127.0.0.1:{taken} (")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "onceproxy.yml: there is no such file"),
        ("version: [1\n", "onceproxy.yml:2"),
        ("just words\n", "onceproxy.yml:1"),
        ("version: 1\nmounts: nowhere\n", "onceproxy.yml:2: mounts: is 'nowhere'"),
    ],
)
async def test_a_configuration_that_can_not_be_used(
    serve: Serve, tmp_path: Path, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "onceproxy.yml").write_text(content)
    ended = await serve("--config", "onceproxy.yml")

    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "data").exists()


async def test_a_database_that_does_not_answer(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "onceproxy.yaml").write_text("version: 1\nlimits: {database_timeout: 500ms}\n")
    ended = await serve("--database", "postgresql://me:s3cret@127.0.0.1:1/receipts")

    assert (ended.code, ended.out) == (1, "")
    assert "onceproxy: database receipts at 127.0.0.1:1 can't be reached (tried for 0.5 s)" in ended.err
    assert "s3cret" not in ended.err


async def test_a_database_that_comes_later(database_url: str, tmp_path: Path, upstream: Upstream) -> None:
    directory = tmp_path / "db"
    directory.mkdir()
    relay = Relay(database_url, directory)
    proxy = ProxyProcess(tmp_path / "data", relay.url)
    starting = asyncio.create_task(proxy.start())
    await proxy.says("can't be reached yet")
    async with relay:
        await starting
        assert (await post(proxy.url, f"{upstream.url}/charges")).status == 201
        assert await proxy.stop() == 0


async def test_a_stop_while_the_database_is_waited_for(tmp_path: Path) -> None:
    proxy = ProxyProcess(tmp_path / "data", "postgresql://me@127.0.0.1:1/receipts")
    starting = asyncio.create_task(proxy.start())
    await proxy.says("can't be reached yet")

    assert await proxy.stop() == 0
    with pytest.raises(AssertionError, match="did not start"):
        await starting
    assert not any("Traceback" in line or "tried for" in line for line in proxy.log)


async def test_a_database_that_forgets_is_refused(
    serve: Serve, start_proxy: StartProxy, database: asyncpg.Connection
) -> None:
    name = await database.fetchval("SELECT current_database()")
    await database.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    ended = await serve()

    assert (ended.code, ended.out) == (1, "")
    assert "synchronous_commit = off" in ended.err

    proxy = await start_proxy(config="allow_unsafe_durability: true\n")
    assert await proxy.stop() == 0


async def test_a_server_without_fsync_is_refused(serve: Serve, database: asyncpg.Connection) -> None:
    await database.execute("ALTER SYSTEM SET fsync = off")
    try:
        await database.execute("SELECT pg_reload_conf()")
        while await database.fetchval("SHOW fsync") != "off":
            pass
        ended = await serve()
    finally:
        await database.execute("ALTER SYSTEM RESET fsync")
        await database.execute("SELECT pg_reload_conf()")
        while await database.fetchval("SHOW fsync") != "on":
            pass

    assert (ended.code, ended.out) == (1, "")
    assert "fsync = off" in ended.err


async def test_a_host_that_is_not_ours(serve: Serve) -> None:
    ended = await serve("--listen", "nowhere.invalid:0", "--insecure-listen")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("onceproxy: listen: can't listen on nowhere.invalid:0 (")


async def test_without_the_c_parser(serve: Serve) -> None:
    ended = await serve(env={"AIOHTTP_NO_EXTENSIONS": "1"})

    assert (ended.code, ended.out) == (1, "")
    (line,) = ended.err.splitlines()
    assert line.startswith("onceproxy: aiohttp runs without its C parser")
    assert "install a wheel" in line


async def test_roots_that_are_none(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("no certificate\n")
    (tmp_path / "onceproxy.yaml").write_text("version: 1\ntls: {upstream_ca: roots.pem}\n")
    ended = await serve()

    assert (ended.code, ended.out) == (2, "")
    assert "roots.pem" in ended.err
