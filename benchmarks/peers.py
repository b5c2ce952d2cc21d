"""Other proxies, to compare with. None guards anything; what is not installed is left out, with a word."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from benchmarks.asking import ACTIONS, Asks, copies
from benchmarks.load import Load, Way
from benchmarks.running import free_port, running
from benchmarks.stage import Stage

PLACES = (str(Path(__file__).parents[1] / "build" / "peers" / "bin"), os.environ.get("PATH", ""), "/usr/sbin")

_SQUID = """
http_port 127.0.0.1:{port}
http_access allow all
cache deny all
access_log none
cache_log {directory}/cache.log
pid_filename {directory}/squid.pid
coredump_dir {directory}
max_filedescriptors 4096
pinger_enable off
shutdown_lifetime 0 seconds
"""
_TINYPROXY = """
Port {port}
Listen 127.0.0.1
MaxClients 400
LogLevel Critical
"""


def installed(program: str) -> str | None:
    """Return the path of a program, where it is installed."""
    return shutil.which(program, path=os.pathsep.join(PLACES))


async def bare(stage: Stage) -> Way:
    """Run what a pass-through is in aiohttp, server and ClientSession in one process."""
    port = free_port()
    command, here = (sys.executable, "-m", "benchmarks.bare", str(port)), Path(__file__).parents[1]
    await stage.parts.enter_async_context(
        running("bare", command, port, stage.directory, environment={"PYTHONPATH": str(here)})
    )
    return Way(port)


async def squid(stage: Stage, *, reusing: bool = False) -> Way | None:
    """Run squid with one worker and no cache; ``reusing``: also what it can't retry reuses connections."""
    if (program := _find(stage, "squid")) is None:
        return None
    port, directory = free_port(), stage.directory / f"squid-{reusing}"
    directory.mkdir()
    directory.chmod(0o777)
    config = _SQUID.format(port=port, directory=directory)
    (directory / "squid.conf").write_text(
        config + ("server_pconn_for_nonretriable allow all\n" if reusing else "")
    )
    command = (program, "-N", "-f", directory / "squid.conf")
    pid = await stage.parts.enter_async_context(running("squid", command, port, directory))
    return Way(port, pid=pid)


async def tinyproxy(stage: Stage) -> Way | None:
    """Run tinyproxy."""
    if (program := _find(stage, "tinyproxy")) is None:
        return None
    port, config = free_port(), stage.directory / "tinyproxy.conf"
    config.write_text(_TINYPROXY.format(port=port))
    await stage.parts.enter_async_context(
        running("tinyproxy", (program, "-d", "-c", config), port, stage.directory)
    )
    return Way(port, unannounced=True)


async def proxy_py(stage: Stage) -> Way | None:
    """Run proxy.py with one worker."""
    if (program := _find(stage, "proxy", "proxy.py")) is None:
        return None
    port = free_port()
    command = (program, "--hostname", "127.0.0.1", "--port", str(port), "--num-workers", "1")
    quiet = ("--num-acceptors", "1", "--log-level", "ERROR", "--data-dir", stage.directory / "proxy.py")
    await stage.parts.enter_async_context(running("proxy.py", (*command, *quiet), port, stage.directory))
    return Way(port)


async def mitmproxy(stage: Stage, *arguments: str | Path) -> Way | None:
    """Run mitmdump without its lines about each request."""
    if (program := _find(stage, "mitmdump", "mitmproxy")) is None:
        return None
    port, home = free_port(), stage.directory / "mitmproxy"
    roots = f"ssl_verify_upstream_trusted_ca={stage.upstream.roots}"
    command = (program, "--quiet", "--listen-host", "127.0.0.1", "--listen-port", str(port))
    settings = ("--set", f"confdir={home}", "--set", roots, *arguments)
    pid = await stage.parts.enter_async_context(
        running("mitmproxy", (*command, *settings), port, stage.directory)
    )
    return Way(port, pid=pid)


async def mitmproxy_replaying(stage: Stage) -> tuple[Way, Asks] | None:
    """Run mitmdump answering from what it recorded; gives the requests that it knows."""
    if installed("mitmdump") is None:
        return None
    flows, target, key = stage.directory / "flows", stage.upstream.forward, "recorded"
    async with stage.apart() as recording:
        way = await mitmproxy(recording, "--save-stream-file", flows)
        assert way is not None
        await Load(way, copies(target, key, replayed=False), 8, most=ACTIONS)(60.0)
    replaying = ("--server-replay", flows, "--set", "server_replay_reuse=true")
    refusing = ("--set", "server_replay_extra=kill")
    way = await mitmproxy(stage, *replaying, *refusing)
    assert way is not None
    return way, copies(target, key, replayed=False)


def _find(stage: Stage, program: str, name: str = "") -> str | None:
    path = installed(program)
    if path is None:
        stage.skipped(name or program)
    return path
