"""One copy of a guarded call: it is told what is known, or gets its turn and says what came of it.

Written once for both kinds of callers: all waiting goes through ``wait``, which awaits in an event loop and
blocks in a plain thread (see ``background``).
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from concurrent.futures import CancelledError as Cancelled
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from onceproxy.core.attempts import Attempt
from onceproxy.core.messages import BodyNotKept
from onceproxy.core.policies import Duplicate, Policy
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Receipt, RequestId, Source
from onceproxy.core.states import State
from onceproxy.functions.background import Wait, blocking, in_event_loop
from onceproxy.functions.calls import Call, CallAction
from onceproxy.functions.codecs import Codec
from onceproxy.functions.current import CurrentCall, is_running
from onceproxy.functions.errors import GuardClosed, OnceError, StoreUnavailable
from onceproxy.functions.opening import Opened
from onceproxy.functions.probing import Doubt, Found, NotFound, Probe, Unclear
from onceproxy.functions.raising import Declared, Meaning, in_words
from onceproxy.functions.reports import raised, response_of, returned, unsaid
from onceproxy.functions.telling import error_of, evidence_of, result_of
from onceproxy.guard.answers import Answer
from onceproxy.guard.ports import Resolution
from onceproxy.guard.ports import StoreUnavailable as Unavailable

T = TypeVar("T")

ROUNDS = 3  # a doubt that is settled, and there again when the call is asked for, three times over


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """A call that somebody asks for. ``arguments`` are for a probe."""

    name: str
    action: CallAction
    codec: Codec[T]
    declared: Declared
    probe: Probe | None
    arguments: Mapping[str, Any]


class Turn(Generic[T]):
    """The turn of one copy. After ``begin`` it is ``fresh``, and has to be ended, or ``result`` is there."""

    unsaid = "what came of it is in doubt"

    def __init__(self, opening: Future[Opened], asked: Asked[T], wait: Wait) -> None:
        self._opening = opening
        self._opened: Opened
        self._asked = asked
        self._wait = wait
        self._call: Call = asked.action.call
        self._process = os.getpid()
        self._submitted: Future[Answer]
        self.fresh = False
        self.attempt = 0
        self.result: T

    @property
    def request_id(self) -> RequestId:
        """The identity of the call."""
        return self._asked.action.request_id

    @property
    def current(self) -> CurrentCall:
        """The call, for the code that makes it."""
        return CurrentCall(self._asked.name, self.request_id, self.attempt)

    async def begin(self) -> None:
        """Find out whether this copy is to run; if not, ``result`` is the stored one.

        Raises:
            OnceError: there is neither.
            BaseException: the receipt holds a final exception.
        """
        self._opened = await self._wait(self._opening)
        action = self._asked.action
        rounds = ROUNDS
        while (answer := await self._ask(action)) is not None:
            self.attempt = answer.attempt
            if answer.response is not None:
                self.result = result_of(self._asked.name, answer, self._asked.codec, self._asked.declared)
                return
            rounds -= 1
            problem = answer.problem
            doubt = problem is not None and problem.type is ProblemType.OUTCOME_UNKNOWN
            receipt = await self._receipt() if doubt else None
            if receipt is None or self._asked.probe is None or not rounds:
                raise error_of(self._asked.name, answer, receipt)
            if receipt.state is not State.IN_DOUBT:
                continue  # it was settled meanwhile
            why = await self._settle(self._asked.probe, receipt)
            if why is not None:
                raise error_of(self._asked.name, answer, replace(receipt, detail=why))
        self.fresh, self.attempt = True, self._call.attempt

    async def succeeded(self, value: T) -> T:
        """Say that the function returned ``value``; return it when its receipt is durable.

        Raises:
            StoreUnavailable, GuardClosed: it is not.
        """
        try:
            report = returned(self._asked.name, value, self._asked.codec)
        except BaseException:
            self._call.leave()
            raise
        self._report(report)
        answer = await self._answer()
        if answer.problem is not None:
            raise error_of(self._asked.name, replace(answer, executed=True))
        return value

    async def failed(self, error: BaseException) -> None:
        """Say that the function raised ``error``, and return when that is durable; the caller raises it.

        Who is cancelled or interrupted is not held up for it.
        """
        meaning = self._asked.declared.meaning(error)
        self._report(raised(self._asked.name, error, meaning))
        if meaning is Meaning.UNKNOWN:
            error.add_note(
                f"onceproxy: whether {self._asked.name} took effect is not known ({self.request_id}); "
                "copies get what in_doubt says"
            )
        if isinstance(error, Exception):
            answer = await self._answer()
            if meaning is Meaning.FINAL and answer.problem is not None:
                raise error_of(self._asked.name, replace(answer, executed=True)) from error

    def leave(self) -> None:
        """Note that the caller is gone; once it has said what came of it, that stands."""
        if os.getpid() == self._process:
            self._call.leave()

    async def left_unsaid(self, fault: BaseException) -> None:
        """Say that nobody said what came of it; the caller raises ``fault``."""
        self._report(unsaid(self._asked.name))
        await self._answer()

    def _report(self, attempt: Attempt) -> None:
        if os.getpid() == self._process:  # a forked child would speak into the wires of its parent
            self._call.report(attempt)

    async def _ask(self, action: CallAction) -> Answer | None:
        """Ask the guard; None: it is our turn, and we have taken it."""
        self._call = Call()
        action = replace(action, policy=self._policy(action), call=self._call)
        self._submitted = self._opened.background.run(_once(self._opened, action))
        try:
            turn = await self._wait(self._call.turn)
            if turn is True and self._call.take():
                return None
        except BaseException:
            self._call.leave()
            self._submitted.cancel()
            raise
        return turn if isinstance(turn, Answer) else await self._answer()

    async def _answer(self) -> Answer:
        """Return what the guard says in the end."""
        if os.getpid() != self._process:
            raise GuardClosed(
                f"{self._asked.name}: this process was forked while the call ran; what comes of it is for "
                "the parent to say.",
                name=self._asked.name,
                request_id=str(self.request_id),
                executed=True,
            )
        try:
            answer: Answer = await self._wait(self._submitted)
        except Cancelled:
            raise _closed(self._asked.name, executed=self.fresh) from None
        return answer

    def _policy(self, action: CallAction) -> Policy:
        """Return the policy: who waits here for another copy that this very thread or context is to run waits
        for ever."""
        held_up = self._wait is blocking and in_event_loop()
        if held_up or is_running(action.request_id):
            return replace(action.policy, duplicate=Duplicate.CONFLICT)
        return action.policy

    async def _receipt(self) -> Receipt | None:
        try:
            return await self._wait(
                self._opened.background.run(self._opened.store.read(self._asked.action.request_id))
            )
        except (Unavailable, RuntimeError):
            return None

    async def _settle(self, probe: Probe, receipt: Receipt) -> str | None:
        """Ask the probe, and store what it says; return why it does not settle the doubt, if it does not."""
        asked = self._asked
        doubt = Doubt(
            asked.name,
            str(receipt.request_id),
            receipt.attempt,
            evidence_of(receipt),
            receipt.age,
            asked.arguments,
        )
        try:
            verdict = probe.ask(doubt)
            if inspect.isawaitable(verdict):
                if self._wait is blocking:
                    if inspect.iscoroutine(verdict):
                        verdict.close()
                    raise TypeError("the probe of a function that is not async must not be async")
                verdict = await verdict
        except Exception as error:  # noqa: BLE001 (whatever it was, it says nothing about the effect)
            verdict = Unclear(in_words(error))
        response = None
        match verdict:
            case Found(result):
                response = response_of(asked.name, result, asked.codec)
                if isinstance(response.body, BodyNotKept):
                    return f"{doubt.evidence}; what the probe found has no form in the codec"
            case NotFound() if receipt.age < probe.settle:
                left = probe.settle - receipt.age
                return f"{doubt.evidence}; the probe did not find it, and is believed in {left:.0f} s"
            case NotFound():
                pass
            case Unclear(why):
                return f"{doubt.evidence}; the probe could not tell: {why}"
            case _:
                raise TypeError(
                    f"a probe returns Found, NotFound or Unclear, and no {type(verdict).__name__}"
                )
        words = "the probe found it" if response is not None else "the probe did not find it"
        resolution = Resolution(
            response is not None,
            Source.PROBE,
            words,
            response,
            settle=probe.settle if response is None else 0.0,
        )
        resolving = self._opened.store.resolve(receipt.request_id, receipt.attempt, resolution)
        try:
            await self._wait(self._opened.background.run(resolving))
        except Unavailable as error:
            raise StoreUnavailable(
                f"{asked.name}: what the probe said can't be stored now ({error}). Nothing was called. "
                "Calling it again later is safe.",
                name=asked.name,
                request_id=str(receipt.request_id),
                attempt=receipt.attempt,
            ) from error
        return None


async def _once(opened: Opened, action: CallAction) -> Answer:
    """Have the guard answer a copy, in its own loop, and tell the caller."""
    call = action.call
    try:
        answer = await opened.core.once(action, action.request)
    except BaseException as error:
        call.failed(error if isinstance(error, Exception) else _closed(action.route, executed=False))
        raise
    call.answered(answer)
    return answer


def _closed(name: str, *, executed: bool) -> OnceError:
    when = (
        "was closed while it ran, so its receipt is in doubt" if executed else "is closed. Nothing was called"
    )
    return GuardClosed(f"{name}: the guard {when}.", name=name, executed=executed)
