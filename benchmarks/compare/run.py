"""The same crashes for onceproxy and its peers, side by side: how often did each one have the effect?

``python benchmarks/compare/run.py [PEER…]`` installs each peer into an environment of its own below
build/compare, and prints a table. Redis and Postgres are started for it on loopback.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from onceproxy.store.embedded import start_embedded

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "compare"
LEASE = 2.0  # seconds, as in peers/effect.py
PATIENCE = 60.0


@dataclass(frozen=True)
class Peer:
    """A peer: the distribution, and what it needs besides."""

    name: str
    program: str
    needs: tuple[str, ...]
    setting: str = ""


PEERS = (
    Peer("onceproxy", "with_onceproxy.py", ()),
    Peer("idemkit", "with_idemkit.py", ("idemkit[postgres]",)),
    Peer("exactly-once", "with_exactly_once.py", ("exactly-once[postgres]",)),
    Peer("agent-ledger", "with_agent_ledger.py", ("agent-ledger[postgres]",)),
    Peer("agent-ledger", "with_agent_ledger.py", ("agent-ledger[postgres]",), "stale after 2 s"),
    Peer("safeagent-exec-guard", "with_safeagent.py", ("safeagent-exec-guard",)),
    Peer("aws-lambda-powertools", "with_powertools.py", ("aws-lambda-powertools[redis]", "boto3")),
    Peer("dbos", "with_dbos.py", ("dbos",)),
    Peer(
        "asgi-idempotency-header",
        "with_asgi_idempotency_header.py",
        ("asgi-idempotency-header", "redis>=4.2,<5", "fastapi", "uvicorn"),
    ),
)


class Bench:
    """Runs the programs of one peer against stores that are its own."""

    def __init__(self, peer: Peer, postgres: str, redis_port: int, folder: Path) -> None:
        self._peer = peer
        self._python = sys.executable if not peer.needs else str(BUILD / peer.name / "bin" / "python")
        self._folder = folder
        self._environment = {
            **os.environ,
            "COMPARE_POSTGRES": postgres,
            "COMPARE_REDIS_PORT": str(redis_port),
            "COMPARE_FOLDER": str(folder),
            "COMPARE_SETTING": peer.setting,
        }

    async def start(self, key: str, amount: int = 1, **told: str) -> asyncio.subprocess.Process:
        """Start a call of the guarded function."""
        environment = {
            **self._environment,
            "COMPARE_KEY": key,
            "COMPARE_AMOUNT": str(amount),
            **{f"COMPARE_{name.upper()}": value for name, value in told.items()},
        }
        return await asyncio.create_subprocess_exec(
            self._python,
            str(HERE / "peers" / self._peer.program),
            env=environment,
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def call(self, key: str, amount: int = 1, **told: str) -> str:
        """Call it, and say how that ended in a few words."""
        return await _ending(await self.start(key, amount, **told))

    async def executed(self, key: str, count: int) -> None:
        """Wait until an effect was had so often."""
        async with asyncio.timeout(PATIENCE):
            while len(self.effects(key)) < count:
                await asyncio.sleep(0.02)

    def effects(self, key: str) -> list[str]:
        """What was done under a key."""
        file = self._folder / "effects"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(f"{key} ")]


async def _ending(process: asyncio.subprocess.Process) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
        return "no answer within a minute"
    if process.returncode == 0:
        return out.decode().strip().splitlines()[-1] if out.strip() else "nothing"
    if process.returncode is not None and process.returncode < 0:
        return "killed"
    lines = [line for line in err.decode().splitlines() if line and not line.startswith((" ", "\t"))]
    return (lines[-1] if lines else "failed")[:140]


async def killed_after_the_effect(bench: Bench) -> tuple[int, str]:
    """The process dies between the effect and the completion; later it is called again."""
    assert await bench.call("killed", kill="1") == "killed"
    await asyncio.sleep(LEASE + 2)
    told = await bench.call("killed")
    return len(bench.effects("killed")), told


async def slow_effect(bench: Bench) -> tuple[int, str]:
    """The effect takes three times as long as a lease; a copy comes after the lease would have ended."""
    first = await bench.start("slow", slow=str(3 * LEASE))
    await bench.executed("slow", 1)
    await asyncio.sleep(LEASE * 1.5)
    second = await bench.call("slow")
    await _ending(first)
    return len(bench.effects("slow")), second


async def two_at_once(bench: Bench) -> tuple[int, str]:
    """Two processes call at the same time."""
    both = await asyncio.gather(bench.call("both", slow="1"), bench.call("both", slow="1"))
    return len(bench.effects("both")), " | ".join(sorted(set(both)))


async def another_payload(bench: Bench) -> tuple[int, str]:
    """The same key comes again with another payload."""
    await bench.call("payload", 1)
    told = await bench.call("payload", 2)
    return len(bench.effects("payload")), told


CASES = (killed_after_the_effect, slow_effect, two_at_once, another_payload)


def install(peer: Peer) -> str:
    """Install a peer, if it has to be; return its version."""
    if not peer.needs:
        from onceproxy.version import __version__

        return __version__
    where = BUILD / peer.name
    if not where.exists():
        subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
        command = [
            str(where / "bin" / "pip"),
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *peer.needs,
        ]
        subprocess.run(command, check=True)
    asked = f"from importlib.metadata import version; print(version({peer.name!r}))"
    return subprocess.run(
        [str(where / "bin" / "python"), "-c", asked], check=True, capture_output=True, text=True
    ).stdout.strip()


async def main() -> None:
    """Run all cases with all peers, and print the table."""
    chosen = [peer for peer in PEERS if not sys.argv[1:] or peer.name in sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="onceproxy-compare-") as directory:
        server = await start_embedded(Path(directory) / "postgres")
        port = 6399
        redis = await asyncio.create_subprocess_exec(
            *(shutil.which("redis-server") or "redis-server", "--port", str(port), "--bind", "127.0.0.1"),
            *("--save", "", "--dir", directory, "--loglevel", "warning"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            print("| peer | version | case | executions | what the second call got |\n|---|---|---|---:|---|")
            for peer in chosen:
                version = install(peer)
                name = f"compare_{chosen.index(peer)}"
                connection = await asyncpg.connect(server.url)
                await connection.execute(f'CREATE DATABASE "{name}"')
                await connection.close()
                folder = Path(directory) / name
                folder.mkdir()
                url = server.url.replace("/onceproxy?", f"/{name}?")
                bench = Bench(peer, url, port, folder)
                if peer.name == "idemkit":
                    tool = str(BUILD / peer.name / "bin" / "idemkit")
                    subprocess.run([tool, "init-pg", url], check=True, stdout=subprocess.DEVNULL)
                for case in CASES:
                    executions, told = await case(bench)
                    shown = f"{peer.name}, {peer.setting}" if peer.setting else peer.name
                    print(f"| {shown} | {version} | {case.__name__} | {executions} | {told} |", flush=True)
        finally:
            redis.terminate()
            await redis.wait()
            await server.stop()
    print(f"\n{time.strftime('%Y-%m-%d')}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    asyncio.run(main())
