"""One call between two threads: the guard's, which claims and settles, and the caller's, which runs it.

The guard lives in an event loop of its own (see ``background``). A function must run where it was called: in
the caller's task or thread, with its context, its connections and its loop. So the guard does not call it. It
offers the turn, the caller takes it, runs the function, and reports what came of it:

    caller            guard
      │  ask ──────────► claim (durable)
      │  ◄──── offer ──  send
      │  take, run
      │  report ───────► settle (durable)
      │  ◄─── answer ──

A function starts only by ``take``, so a caller that has left before proves that nothing happened.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import Origin, Request, Response
from onceproxy.core.receipts import Action, Claim, Receipt
from onceproxy.guard.answers import Answer
from onceproxy.guard.ports import TellInterim
from onceproxy.store.postgres import PostgresStore


class _Step(Enum):
    ASKED = "asked"
    OFFERED = "offered"
    TAKEN = "taken"
    OVER = "over"


class Call:
    """A call on its way. To the guard it is the body of a request: what there is to send, and no bytes.

    ``turn`` is resolved once, with True when the function may be run, or with the guard's answer if that
    comes without it. ``attempt`` is the attempt that this is, once it was offered.
    """

    size = 0

    def __init__(self) -> None:
        self.turn: Future[bool | Answer] = Future()
        self.attempt = 0
        self._lock = threading.Lock()
        self._step = _Step.ASKED
        self._may_send: Callable[[], bool] = bool
        self._report: Callable[[Attempt], None] = lambda attempt: None

    def chunks(self) -> Iterator[bytes]:
        """Yield nothing."""
        return iter(())

    def read(self) -> bytes:
        """Return nothing."""
        return b""

    def claimed(self, claim: Claim) -> None:
        """Note which attempt it will be."""
        self.attempt = claim.attempt

    async def offer(self, may_send: Callable[[], bool]) -> Attempt:
        """Offer the turn to the caller, and return what it reports. In the guard's loop.

        Cancelling it takes the offer back; a function that runs already goes on, and its report is lost.
        """
        loop = asyncio.get_running_loop()
        reported: asyncio.Future[Attempt] = loop.create_future()

        def report(attempt: Attempt) -> None:
            with suppress(RuntimeError):  # the guard was closed, and its loop has ended
                loop.call_soon_threadsafe(_resolve, reported, attempt)

        with self._lock:
            if self._step is _Step.OVER:
                return _LEFT
            self._step, self._may_send, self._report = _Step.OFFERED, may_send, report
        self.turn.set_result(True)
        try:
            return await reported
        finally:
            with self._lock:
                self._step = _Step.OVER

    def answered(self, answer: Answer) -> None:
        """Give the caller an answer, unless it has its turn. In the guard's loop."""
        if not self.turn.done():
            self.turn.set_result(answer)

    def failed(self, error: BaseException) -> None:
        """Tell the caller of a fault of the guard, unless it has its turn. In the guard's loop."""
        if not self.turn.done():
            self.turn.set_exception(error)

    def take(self) -> bool:
        """Take the turn that was offered: the caller must run the function now, and report. In its thread.

        False: it was taken back, or the right to call has run out. Then nothing may be run.
        """
        with self._lock:
            if self._step is not _Step.OFFERED:
                return False
            if self._may_send():
                self._step = _Step.TAKEN
                return True
            self._step = _Step.OVER
        self._report(_TOO_LATE)
        return False

    def report(self, attempt: Attempt) -> None:
        """Say what came of it. In the caller's thread."""
        self._report(attempt)

    def leave(self) -> None:
        """Note that the caller does not wait for its turn any more, nor goes on with it. In its thread."""
        with self._lock:
            step, self._step = self._step, _Step.OVER
        if step is _Step.OFFERED:
            self._report(_LEFT)
        elif step is _Step.TAKEN:
            self._report(_INTERRUPTED)


_LEFT = Attempt(
    WirePhase.SENT_NOTHING, failure=Failure.STOPPED, detail="the caller left before the function was called"
)
_INTERRUPTED = Attempt(
    WirePhase.SENDING, failure=Failure.STOPPED, detail="the caller was interrupted as the function began"
)
_TOO_LATE = Attempt(
    WirePhase.SENT_NOTHING,
    failure=Failure.LEASE_LOST,
    detail="the right to call ran out before the function was called",
)


def _resolve(reported: asyncio.Future[Attempt], attempt: Attempt) -> None:
    if not reported.done():
        reported.set_result(attempt)


@dataclass(frozen=True, slots=True)
class CallAction(Action):
    """The action of one call, and the call itself."""

    call: Call = field(default_factory=Call)

    @property
    def request(self) -> Request:
        """The request that the guard sends: to ``Calls``, which takes nothing of it but the call."""
        return Request(self.method, Origin("function", self.route, 0), b"", body=self.call)


class CallStore(PostgresStore):
    """A store that tells each call which attempt it is."""

    async def claim(self, action: Action) -> Claim | Receipt:
        """Claim an action, as ``PostgresStore`` does."""
        found = await super().claim(action)
        if isinstance(found, Claim) and isinstance(action, CallAction):
            action.call.claimed(found)
        return found


class Calls:
    """The guard's way to execute: it has the caller do it."""

    async def send(
        self,
        request: Request,
        may_send: Callable[[], bool],
        *,
        reuse_idle: float | None = None,
        head_arrived: Callable[[Response], None] | None = None,
        interim: TellInterim = None,
    ) -> Attempt:
        """Have the caller run its function, and return what it says came of it."""
        call = request.body
        if not isinstance(call, Call):
            raise TypeError("what is sent here is a call")
        return await call.offer(may_send)
