"""What a document tells people to type, typed: its ``sh`` blocks, in order, in a terminal each as it says.

A block that is followed by a ``text`` block prints what stands there; ``…`` is any text, and in a line of its
own any lines. A block that starts a proxy gets a terminal of its own, where the proxy stays until the next
one is started.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVES = re.compile(r"\A(make|onceproxy|\.venv/bin/onceproxy) serve\b.*\n\Z")
IN_BACKGROUND = re.compile(r"^python3 \S+ (?P<port>\d+) &$", re.MULTILINE)
MARK = "end of block"
PATIENCE = 60.0


@dataclass(frozen=True)
class Block:
    """Commands, and what they print where the document says it."""

    commands: str
    printed: str | None

    @property
    def serves(self) -> bool:
        """Whether a proxy is started, which stays."""
        return SERVES.match(self.commands) is not None


def blocks_of(document: str, stand_ins: Mapping[str, str]) -> list[Block]:
    """Return the blocks of a document, with addresses of the test in place of those that people have."""
    for name, ours in stand_ins.items():
        document = document.replace(name, ours)
    found = BLOCK.findall(document)
    return [
        Block(text, after[1] if after[0] == "text" else None)
        for (kind, text), after in zip(found, [*found[1:], ("", "")], strict=True)
        if kind == "sh"
    ]


def fits(printed: str, expected: str) -> bool:
    """Say whether what was printed is what a document shows."""
    lines = (
        "(.*\n)*?" if line == "…\n" else re.escape(line).replace("…", ".*")
        for line in expected.splitlines(keepends=True)
    )
    return re.fullmatch("".join(lines), f"{printed.rstrip()}\n") is not None


@dataclass
class Terminals:
    """A shell, and beside it the proxy that was started last. An async context manager."""

    folder: Path
    environment: dict[str, str]
    of_proxies: dict[str, str]
    """What the terminals of proxies have in their environment besides."""
    _shell: asyncio.subprocess.Process | None = None
    _proxy: asyncio.subprocess.Process | None = None
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = self.folder / "build" / "serve.log"
        self._log.parent.mkdir()

    async def __aenter__(self) -> Terminals:
        self._shell = await self._started(
            "bash", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in (self._shell, self._proxy):
            await _ended(process, signal.SIGKILL if process is self._shell else signal.SIGTERM)

    async def type(self, block: Block) -> str:
        """Type the commands of a block; return what they printed, once all have ended well."""
        if block.serves:
            return await self._serve(block.commands)
        assert self._shell is not None
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        # A trap, as `set -e` would end the shell before it told what went wrong.
        typed = (
            f'failed=0; trap failed=1 ERR\n{{ {block.commands}}} 2>&1\ntrap - ERR; echo "{MARK} $failed"\n'
        )
        self._shell.stdin.write(typed.encode())
        async with asyncio.timeout(PATIENCE):
            printed = (await self._shell.stdout.readuntil(f"{MARK} ".encode())).decode()
            code = (await self._shell.stdout.readline()).decode().strip()
        printed = printed.removesuffix(f"{MARK} ").replace("\r\n", "\n")
        assert code == "0", printed
        for started in IN_BACKGROUND.finditer(block.commands):
            await _listens(int(started["port"]))
        return printed

    async def _serve(self, command: str) -> str:
        # Rudely, as what comes next has to be true then as well.
        await _ended(self._proxy, signal.SIGKILL)
        with self._log.open("wb") as log:
            self._proxy = await self._started(
                *("bash", "-c", f"exec {command}"),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self.environment | self.of_proxies,
            )
        assert self._proxy.stdout is not None
        async with asyncio.timeout(PATIENCE):
            async for line in self._proxy.stdout:
                if line.startswith(b"onceproxy ready"):
                    return line.decode()
        raise AssertionError(self._log.read_text())

    async def _started(self, *command: str, **streams: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            start_new_session=True,
            **{"env": self.environment, **streams},  # type: ignore[arg-type]  # what the call takes and passes on has no type of its own
        )


async def _ended(process: asyncio.subprocess.Process | None, number: signal.Signals) -> None:
    """End a process and all that it has started."""
    if process is None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    async with asyncio.timeout(PATIENCE):
        await process.communicate()


async def _listens(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            await writer.wait_closed()
            return
