"""What a person sees on a terminal: a line that stays, bars, and no colours where they are not wanted."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onceproxy.store.postgres import PostgresStore
from raw_client import post
from stores import an_action, completed
from terminals import Terminal
from upstreams import Upstream

READY = re.compile(r"onceproxy ready: proxy (http://\S+),")
LINE = "onceproxy  requests {} · executed {} · replayed {} · unknown {}"
COLOURS = re.compile(r"\x1b\[\d*m")


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


async def started(
    terminal: Terminal, *arguments: str, data_dir: Path, database: str, **environment: str
) -> asyncio.subprocess.Process:
    """A command whose stderr, and stdout, is the terminal."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "onceproxy", *arguments),
        stdin=terminal.program,
        stdout=terminal.program,
        stderr=terminal.program,
        env={
            **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
            "TERM": "xterm-256color",
            "ONCEPROXY_DATA_DIR": str(data_dir),
            "ONCEPROXY_DATABASE": database,
            **environment,
        },
        cwd=data_dir,
    )


async def ended(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(60):
        return await process.wait()


def serving(data_dir: Path) -> tuple[str, ...]:
    config = data_dir / "onceproxy.yaml"
    config.write_text("version: 1\nlisten: '127.0.0.1:0'\nadmin: {listen: '127.0.0.1:0'}\n")
    return ("serve", "--config", str(config))


@pytest.mark.parametrize(("workers", "environment"), [("1", {}), ("2", {"NO_COLOR": "1"})])
async def test_a_line_stays_below_the_log_and_goes_at_the_end(
    database_url: str, tmp_path: Path, upstream: Upstream, workers: str, environment: dict[str, str]
) -> None:
    with Terminal() as terminal:
        arguments = (*serving(tmp_path), "--workers", workers)
        process = await started(terminal, *arguments, data_dir=tmp_path, database=database_url, **environment)
        try:
            first = await terminal.shows(lambda rows: rows[-1] == LINE.format(0, 0, 0, 0))
            match = READY.match(first[0])
            assert match is not None
            for _ in range(2):
                await post(match[1], f"{upstream.url}/pay", "Idempotency-Key: k1")
            shown = await terminal.shows(lambda rows: rows[-1] == LINE.format(2, 1, 1, 0))
        finally:
            process.send_signal(signal.SIGTERM)
            assert await ended(process) == 0
        output = await terminal.whole()
        last = terminal.screen

    decisions = [row for row in shown if "] decision " in row]
    assert len(decisions) == 2
    assert all(re.match(r"\d{4}-\d\d-\d\dT\S+Z \[info ", row) for row in decisions)
    assert all(row.endswith(f"url={upstream.url}/pay") for row in decisions)
    assert not any("requests" in row for row in shown[:-1])
    # Whoever writes takes the line away first, that nothing of a longer one stays behind.
    assert len(re.findall(r"\r\x1b\[2K[^\r\n]*\] .{0,9}decision ", output)) == 2
    assert not any("requests" in row for row in last)
    assert bool(COLOURS.search(output)) is not ("NO_COLOR" in environment)


@pytest.mark.parametrize(("term", "lively"), [("xterm", True), ("dumb", False)])
async def test_a_long_command_shows_how_far_it_is_and_leaves_its_words_alone(
    database_url: str, store: PostgresStore, tmp_path: Path, term: str, lively: bool
) -> None:
    claim = await store.claim(an_action())
    await store.settle(claim, completed())  # type: ignore[arg-type]  # nothing stood in the way

    with Terminal() as terminal:
        process = await started(terminal, "gc", data_dir=tmp_path, database=database_url, TERM=term)
        assert await ended(process) == 0
        output = await terminal.whole()

    assert ("receipts looked at" in output) is lively
    assert ("\x1b" in output) is lively
    assert terminal.screen[0] == "0 receipts expired: their responses are gone"
    assert not any("looked at" in row for row in terminal.screen)
