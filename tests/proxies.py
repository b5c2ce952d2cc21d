"""A proxy as a person runs it: a process of its own, started by the command line."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

READY = re.compile(r"onceproxy ready: proxy (http://\S+), admin (http://\S+), database (\w+)")
START_TIMEOUT = 30.0


@dataclass
class ProxyProcess:
    """``onceproxy serve`` on free ports. An async context manager; also started again after a kill.

    ``log`` is all that it says but for the ready line, on either stream.
    """

    data_dir: Path
    database: str
    config: str = ""
    admin: str = "listen: '127.0.0.1:0'"
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    url: str = ""
    admin_url: str = ""
    process: asyncio.subprocess.Process | None = None
    log: list[str] = field(default_factory=list)
    _readers: tuple[asyncio.Task[None], ...] = ()
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self) -> None:
        """Start it and wait for its ready line."""
        config = self.data_dir / "onceproxy.yaml"
        self.data_dir.mkdir(exist_ok=True)
        config.write_text(f"version: 1\nadmin: {{{self.admin}}}\n" + self.config)
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "onceproxy",
            "serve",
            *("--config", str(config)),
            *("--listen", "127.0.0.1:0"),
            *("--data-dir", str(self.data_dir)),
            *("--database", self.database),
            *self.arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        first: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._readers = (
            asyncio.create_task(self._read_log(self.process.stderr)),
            asyncio.create_task(self._read_out(self.process.stdout, first)),
        )
        async with asyncio.timeout(START_TIMEOUT):
            line = await first
        match = READY.fullmatch(line.strip())
        if match is None:
            await self.process.wait()
            await asyncio.gather(*self._readers)
            raise AssertionError(f"the proxy did not start: {line!r}\n" + "\n".join(self.log))
        self.url, self.admin_url = match[1], match[2]

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.returncode is None

    async def says(self, words: str) -> None:
        """Wait until its log says something."""
        async with asyncio.timeout(START_TIMEOUT), self._news:
            await self._news.wait_for(lambda: any(words in line for line in self.log))

    async def ended(self) -> int:
        """Wait until it has ended by itself; return its exit code."""
        assert self.process is not None
        async with asyncio.timeout(60):
            code = await self.process.wait()
            await asyncio.gather(*self._readers)
        return code

    async def suspended(self) -> None:
        """Wait until it is suspended, by us or by itself."""
        assert self.process is not None
        stat = Path(f"/proc/{self.process.pid}/stat")
        async with asyncio.timeout(START_TIMEOUT):
            while stat.read_text().rpartition(")")[2].split()[0] != "T":
                await asyncio.sleep(0.01)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """Kill it as a crash would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """Stop it as a person would; return its exit code."""
        return await self._end(signal.SIGTERM)

    async def __aenter__(self) -> ProxyProcess:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.runs:
            await self.stop()

    async def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await self.ended()

    async def _read_out(self, stream: asyncio.StreamReader, first: asyncio.Future[str]) -> None:
        line = await stream.readline()
        if not first.done():  # cancelled with who started it
            first.set_result(line.decode())
        await self._read_log(stream)

    async def _read_log(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            async with self._news:
                self.log.append(line.decode(errors="replace").rstrip())
                self._news.notify_all()
