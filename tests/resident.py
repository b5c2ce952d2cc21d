"""The memory of a process, as Linux tells it in /proc, and whether it has anything to do."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

IDLE = 0.02  # of a core: what timers and heartbeats may take of one
LOOKS = 120  # seconds, one look each


def resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    return _of_status(pid, "VmRSS")


def peak(pid: int) -> int:
    """Return the most resident memory that a process has had since ``forget_peak``, in bytes."""
    return _of_status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Have the peak counted from now."""
    _of(pid, "clear_refs").write_text("5")


def can_tell() -> bool:
    """Say whether this system tells the peak of a process."""
    return Path("/proc/self/clear_refs").exists()


async def at_rest(pid: int) -> None:
    """Return when a process has done next to nothing for a second. Raises ``TimeoutError``."""
    before = _worked(pid)
    for _ in range(LOOKS):
        await asyncio.sleep(1)
        now = _worked(pid)
        if now - before < IDLE:
            return
        before = now
    raise TimeoutError(f"process {pid} has been at work for {LOOKS} seconds")


def _worked(pid: int) -> float:
    """Return the seconds that a process has worked."""
    fields = _of(pid, "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _of_status(pid: int, name: str) -> int:
    lines = _of(pid, "status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


def _of(pid: int, name: str) -> Path:
    return Path("/proc") / str(pid) / name
