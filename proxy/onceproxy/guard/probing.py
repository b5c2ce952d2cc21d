"""Settling a doubt by asking the upstream: the part that waits, asks again and stores the verdict.

What is asked and what an answer proves is in ``core.probes``. A question belongs to the process: it goes on
when the copy that started it has left, and all copies of one action wait for the same one. Two processes may
ask at once; the store takes a verdict only while the doubt about that attempt stands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog

from onceproxy.core.decisions import Refuse, being_asked, doubt
from onceproxy.core.hygiene import storable
from onceproxy.core.messages import Request, Response
from onceproxy.core.probes import Found, NotFound, Probe, Unclear, judge, question, shown_question
from onceproxy.core.receipts import Action, Receipt, RequestId, Source
from onceproxy.core.redaction import redacted, wholly_redacted
from onceproxy.core.states import State
from onceproxy.core.templates import Asked, NotFilled
from onceproxy.guard.ports import Execute, Resolution, Store, Watch

_T = TypeVar("_T")

log = structlog.get_logger("onceproxy.guard")

INLINE = 64 * 1024  # bytes of a body up to which a thread costs more than the work
MARGIN = 0.02  # seconds that a settling time is overstayed, so that the store's clock agrees

_VERDICTS = {Found: "found", NotFound: "not-found", Unclear: "unclear"}


class Prober:
    """Asks at most one question at a time about an action, however many copies wait for the answer.

    ``limit``: bytes of an answer's body that a receipt keeps.
    """

    def __init__(
        self, store: Store, execute: Execute, *, limit: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._execute = execute
        self._limit = limit
        self._clock = clock
        self._questions: dict[RequestId, asyncio.Task[Refuse | None]] = {}
        self._stopped = False

    async def ask(self, action: Action, request: Request, receipt: Receipt, patience: float) -> Refuse | None:
        """Settle the doubt about ``receipt``; None: it is settled, and the receipt says how.

        ``patience``: seconds that this copy waits for the verdict.

        Raises:
            StoreUnavailable: the verdict could not be stored.
        """
        task = self._questions.get(action.request_id)
        if task is None:
            if action.policy.probe is None:
                return doubt(action, receipt)
            if self._stopped:
                return being_asked(action, receipt)
            task = asyncio.get_running_loop().create_task(
                self._find_out(action, action.policy.probe, request, receipt)
            )
            self._questions[action.request_id] = task
            task.add_done_callback(lambda ended: self._ended(action.request_id, ended))
        await asyncio.wait({task}, timeout=max(0.0, patience))
        if not task.done() or task.cancelled():
            return being_asked(action, receipt)
        return task.result()

    async def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        questions = list(self._questions.values())
        for task in questions:
            task.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    def _ended(self, request_id: RequestId, task: asyncio.Task[Refuse | None]) -> None:
        del self._questions[request_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("probe-failed", request_id=str(request_id), error=str(error))

    async def _find_out(
        self, action: Action, probe: Probe, request: Request, receipt: Receipt
    ) -> Refuse | None:
        young = probe.settle - receipt.age
        believed = self._clock() + (young + MARGIN if young > 0 else 0.0)
        try:
            asked = Asked(request, str(action.request_id), action.key)
            get = await _off_loop(request.body.size, partial(question, probe, asked))
        except NotFilled as error:
            return doubt(action, receipt, f"The route's probe can't be asked: it {error}.")
        pause, tries = probe.backoff, probe.tries
        with self._store.watch(action.request_id) as watch:
            while True:
                at = self._clock()
                attempt = await self._execute.send(get, _always)
                size = attempt.response.body.size if attempt.response is not None else 0
                verdict = await _off_loop(size, partial(judge, probe, attempt, self._limit))
                log.info(
                    "probed",
                    request_id=str(action.request_id),
                    url=shown_question(probe),
                    verdict=_VERDICTS[type(verdict)],
                )
                match verdict:
                    case Found(response):
                        await self._resolve(
                            receipt, shown_question(probe), self._evidence(action, response), 0.0
                        )
                        return None
                    case NotFound(words) if at >= believed:
                        await self._resolve(receipt, shown_question(probe), words, probe.settle)
                        return None
                    case NotFound():
                        again = believed
                    case Unclear(words):
                        tries -= 1
                        if tries <= 0:
                            return doubt(action, receipt, f"The route's probe could not tell: {words}.")
                        again = self._clock() + pause
                        pause *= 2
                if await self._settled_meanwhile(watch, receipt, again):
                    return None

    async def _settled_meanwhile(self, watch: Watch, receipt: Receipt, until: float) -> bool:
        """Wait ``until`` then; say whether somebody else has settled the doubt by that time."""
        while (left := until - self._clock()) > 0:
            await watch.news(left)
            current = await self._store.read(receipt.request_id)
            if current is None or current.state is not State.IN_DOUBT or current.attempt != receipt.attempt:
                return True
        return False

    async def _resolve(self, receipt: Receipt, url: str, said: Response | str, settle: float) -> None:
        response = None if isinstance(said, str) else said
        words = said if isinstance(said, str) else f"it answered {said.status}, and it is there"
        resolution = Resolution(
            response is not None, Source.PROBE, f"GET {url}: {words}", response, settle=settle
        )
        # Where it was settled otherwise in the meantime, that stands: the caller reads it.
        await self._store.resolve(receipt.request_id, receipt.attempt, resolution)

    def _evidence(self, action: Action, response: Response) -> Response:
        # What is found was read as JSON; if not all parsers read it alike, then nothing of it is kept.
        clean = redacted(response, action.policy.redact) or wholly_redacted(response)
        return replace(clean, headers=storable(clean.headers, keep_cookies=action.policy.keep_cookies))


async def _off_loop(size: int, work: Callable[[], _T]) -> _T:
    """Do work on ``size`` bytes: in a thread, where it would hold up every other connection."""
    return work() if size <= INLINE else await asyncio.to_thread(work)


def _always() -> bool:
    return True
