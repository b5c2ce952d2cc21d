"""Telling hooks: take a notice, POST it to each hook that has to have it, and write down what came of it.

At least once: a notice is only done with when each hook has answered with 2xx, or after days of trying.
Whoever dies in between leaves it to the others. A receiver knows what comes again by its ``webhook-id``.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from onceproxy.core.attempts import SendFailed
from onceproxy.core.messages import BytesBody, Origin, Request
from onceproxy.core.notices import NoticeKind, Taken, accepted, pause_after, signed_headers
from onceproxy.hooks.ports import HookMeter, Outbox, Post

EVERY = 2.0  # seconds between two looks: an index that is empty but in bad times
AT_ONCE = 8  # notices told at a time, so that a receiver that hangs does not hold up all others
LAST_WORDS = 5.0  # seconds at a stop for what is being told

log = structlog.get_logger("onceproxy.hooks")


@dataclass(frozen=True, slots=True)
class Hook:
    """A receiver: where it is, what its messages are signed with, and what it wants to know."""

    origin: Origin
    target: bytes
    key: bytes = field(repr=False)
    kinds: frozenset[NoticeKind]

    @property
    def mark(self) -> bytes:
        """What the database knows it by: its URL may hold a secret."""
        return hashlib.sha256(str(self.origin).encode() + self.target).digest()[:16]


class Teller:
    """Tells hooks what is due. ``receipts_url`` is where people find receipts, for links."""

    def __init__(
        self,
        hooks: Sequence[Hook],
        outbox: Outbox,
        post: Post,
        meter: HookMeter,
        receipts_url: Callable[[], str],
    ) -> None:
        self._hooks = hooks
        self._kinds = frozenset[NoticeKind]().union(*(hook.kinds for hook in hooks))
        self._outbox = outbox
        self._post = post
        self._meter = meter
        self._receipts_url = receipts_url
        self._busy = asyncio.Lock()
        self._stopping = False

    async def run_once(self) -> int:
        """Tell all that is due now; return how many notices that were. Raises what the outbox raises."""
        async with self._busy:
            if not await self._tell_next():
                return 0
            counts = await asyncio.gather(*(self._tell_all() for _ in range(AT_ONCE)), return_exceptions=True)
        for count in counts:
            if isinstance(count, BaseException):
                raise count
        return 1 + sum(count for count in counts if isinstance(count, int))

    async def stop(self) -> None:
        """Begin no more, and wait for what is being told: cut off, it would be told once more."""
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS), self._busy:
                pass

    async def _tell_all(self) -> int:
        count = 0
        while await self._tell_next():
            count += 1
        return count

    async def _tell_next(self) -> bool:
        taken = None if self._stopping else await self._outbox.take(self._kinds)
        if taken is None:
            return False
        await self._tell(taken)
        return True

    async def _tell(self, taken: Taken) -> None:
        notice = taken.notice
        missing = [hook for hook in self._hooks if notice.kind in hook.kinds and hook.mark not in taken.told]
        body = notice.body(self._receipts_url())
        results = await asyncio.gather(*(self._tell_one(hook, taken, body) for hook in missing))
        told = taken.told | {hook.mark for hook, has_it in zip(missing, results, strict=True) if has_it}
        if all(results):
            await self._outbox.told(taken, told)
            return
        pause = pause_after(taken.tries, taken.age, random.random())  # noqa: S311 (no secret depends on it)
        if pause is not None:
            await self._outbox.put_off(taken, told, pause)
            self._meter.hook("put-off")
            return
        await self._outbox.give_up(taken, told)
        self._meter.hook("failed")
        log.error(
            "hook-failed",
            request_id=str(notice.request_id),
            kind=notice.kind.value,
            tries=taken.tries,
            hosts=[hook.origin.host for hook, has_it in zip(missing, results, strict=True) if not has_it],
            hint="nobody was told, and nobody will be; look at the receipt",
        )

    async def _tell_one(self, hook: Hook, taken: Taken, body: bytes) -> bool:
        notice = taken.notice
        headers = signed_headers(hook.key, notice.message_id, int(time.time()), body)
        request = Request("POST", hook.origin, hook.target, headers, BytesBody(body))
        try:
            status = await self._post(request)
            problem = "" if accepted(status) else f"it answered {status}"
        except SendFailed as failed:
            problem = failed.detail
        if not problem:
            self._meter.hook("told")
            return True
        log.warning(
            "hook-not-told",
            request_id=str(notice.request_id),
            kind=notice.kind.value,
            host=hook.origin.host,
            tries=taken.tries,
            problem=problem,
        )
        return False
