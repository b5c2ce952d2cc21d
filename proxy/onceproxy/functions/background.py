"""The event loop of a guard, in a thread of its own, and how callers wait for it.

A guard needs a loop that runs whatever its callers do: it renews a lease, also while a function computes for
a minute, and it settles what happened when the caller's own loop has ended.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Background:
    """One event loop in one daemon thread, from the constructor to ``end``."""

    def __init__(self) -> None:
        # Not what the program's policy makes: the loop must be one that a forked child can leave alone.
        self._loop = asyncio.SelectorEventLoop()
        self._loop.set_default_executor(_LateExecutor(thread_name_prefix="onceproxy"))
        self._end = asyncio.Event()
        self.ended: Future[None] = Future()
        threading.Thread(target=self._run, name="onceproxy", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there. Raises ``RuntimeError`` when it has ended."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise

    def end(self) -> None:
        """Have the loop end, with whatever still runs in it; ``ended`` is resolved when it has."""
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._end.set)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._until_the_end())
        finally:
            self.ended.set_result(None)

    async def _until_the_end(self) -> None:
        await self._end.wait()


class _LateExecutor(ThreadPoolExecutor):
    """Also works at the exit of the interpreter, when threads are not started any more: in the loop then."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn`` in a thread, or at once."""
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError:
            done: Future[T] = Future()
            try:
                done.set_result(fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 (whoever asked for it gets it)
                done.set_exception(error)
            return done


class Wait(Protocol):
    """Waits for something of the guard's thread, in the caller's way. It never cancels what it waits for."""

    async def __call__(self, future: Future[T]) -> T:
        """Return the result, or raise what ``future`` holds."""
        ...


async def awaiting(future: Future[T]) -> T:
    """Wait in the caller's event loop."""
    loop = asyncio.get_running_loop()
    news = loop.create_future()

    def hear() -> None:
        if not news.done():
            news.set_result(None)

    def tell(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the caller's loop has ended meanwhile
            loop.call_soon_threadsafe(hear)

    future.add_done_callback(tell)
    await news
    return future.result()


async def blocking(future: Future[T]) -> T:
    """Wait by blocking the thread; for ``run_blocking``."""
    return future.result()


def run_blocking(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, as it waits by ``blocking`` alone: without any event loop.

    Raises:
        RuntimeError: it did suspend.
    """
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("an async function can't be run here: use the async way to call it")


def in_event_loop() -> bool:
    """Say whether an event loop runs in this thread: blocking it blocks whatever it runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
