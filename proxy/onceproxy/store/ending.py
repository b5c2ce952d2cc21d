"""The end of tasks that belong to a store which closes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection


async def end_within(tasks: Collection[asyncio.Task[None]], timeout: float) -> None:
    """Let tasks end for ``timeout`` seconds, then cancel those that are left."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=timeout)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
