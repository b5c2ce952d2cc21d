"""Waiting for one of a few futures, which are left as they are."""

from __future__ import annotations

import asyncio
from typing import Any


async def first_of(*futures: asyncio.Future[Any], timeout: float | None = None) -> None:
    """Return when one of them is done, or ``timeout`` seconds are over.

    ``asyncio.wait`` does the same for any number, at several times the cost; this is for each request.
    """
    if any(future.done() for future in futures):
        return
    loop = asyncio.get_running_loop()
    news = loop.create_future()

    def tell(_: object = None) -> None:
        if not news.done():
            news.set_result(None)

    for future in futures:
        future.add_done_callback(tell)
    timer = None if timeout is None else loop.call_later(timeout, tell)
    try:
        await news
    finally:
        if timer is not None:
            timer.cancel()
        for future in futures:
            future.remove_done_callback(tell)
