"""An answer on its way to the client while it is still being captured.

The client gets what arrives as it arrives, all but the end, so that it can't take for done what no receipt
says yet. The end is whatever tells the client that there is no more: where the head announced a length, the
last byte; else the closing chunk, or the close of the connection. It is given when the receipt is durable. If
none will be, the client's connection is cut, which no client takes for an end.

What bounds a body: as long as a receipt may keep it, it lies in its capture, on disk. Once it is larger than
that, or the disk has no room for it, only this one client can still get it; what the client has taken is
forgotten, and the upstream is held up while the client has not taken the rest. A client that takes nothing
for ``SLOWEST`` is given up, and one that has left needs nothing: then the body is only counted and digested.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from enum import Enum

from onceproxy.core.messages import Interim, Request, Response, header_values, may_have_body
from onceproxy.core.outcomes import OutcomeKind, classify_status
from onceproxy.core.policies import OutcomeRules
from onceproxy.crashpoints import reach
from onceproxy.guard.answers import Answer
from onceproxy.guard.capture import CHUNK
from onceproxy.guard.growing import GrowingBody
from onceproxy.guard.ports import TellInterim

MOMENT = 0.1  # seconds that an answer has to arrive whole in; then a client gets it while it arrives
SLOWEST = 30.0  # seconds for a client to take some of a body that waits for it alone

EVENT_STREAM = b"text/event-stream"


_NOTHING = GrowingBody()  # in place of a body of which no byte has arrived


class StreamCut(ConnectionError):
    """The answer has no end that may be given: the client's connection has to be cut."""


class _End(Enum):
    OPEN = "open"
    WHOLE = "whole"
    CUT = "cut"


class Stream:
    """The answer of one attempt, for the one client that asked for it.

    ``told`` is the first that there is to say to the client: the answer, or None when it is to get that as it
    arrives. ``begun`` says that it does, ``left`` that it is gone. ``response`` is what has arrived, if at
    least the head has. ``interim`` is who passes on what comes before.
    """

    def __init__(
        self,
        request: Request,
        rules: OutcomeRules,
        receipt_body: int,
        interim: TellInterim = None,
    ) -> None:
        self.told: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self.begun = False
        self.response: Response | None = None
        self._interim = interim
        self._method = request.method
        self._rules = rules
        self._receipt_body = receipt_body
        self._body = _NOTHING
        self._length: int | None = None
        self._news: asyncio.Event | None = None
        self._end = _End.OPEN
        self.left = False
        self._timer: asyncio.TimerHandle | None = None

    # What the attempt tells.

    def interim_arrived(self, interim: Interim) -> None:
        """Take an interim response: it is no answer, and waits for nothing."""
        if self._interim is not None and not self.left:
            self._interim(interim)

    def head_arrived(self, response: Response) -> None:
        """Take the final response's head; its body is a ``GrowingBody``."""
        if not isinstance(response.body, GrowingBody):
            raise TypeError("the body of a response that is still arriving can be followed")
        self.response, self._body = response, response.body
        self._body.follow(self._grew)
        lengths = header_values(response.headers, "content-length")
        self._length = int(lengths[0]) if lengths else None
        if not may_have_body(self._method, response.status) or self._length == 0:
            return  # its head is all there is, and so its end
        if classify_status(response.status, self._rules).kind is not OutcomeKind.COMPLETED:
            return
        if _is_event_stream(response):
            self._begin()
        else:
            self._timer = asyncio.get_running_loop().call_later(MOMENT, self._begin)

    def arrived(self) -> None:
        """Note that nothing more will arrive."""
        self._stop_timer()
        self._body.follow(None)

    def finish(self) -> None:
        """Give the end: the receipt is durable."""
        self._conclude(_End.WHOLE)

    def cut(self) -> None:
        """Cut the client, unless it has been given the end."""
        self._conclude(_End.CUT)

    def tell(self, answer: Answer) -> None:
        """Give the client its answer, unless it has been told something before."""
        if not self.told.done():
            self.told.set_result(answer)

    def ended(self, attempt: asyncio.Task[None]) -> None:
        """Note that the attempt is over: who was told nothing by then is told why."""
        if self.told.done():
            return
        if attempt.cancelled():
            self.told.cancel()
        elif (error := attempt.exception()) is not None:
            self.told.set_exception(error)

    # What the client's side tells.

    def leave(self) -> None:
        """Note that the client is gone; the attempt goes on without it."""
        self.left = True
        self.told.cancel()
        self._stop_timer()
        if self._oversized:
            self._body.forget(self._body.size)
        self._body.go_on()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives, and end when the receipt is durable. To be called once.

        Raises:
            StreamCut: there is no end, or the client was too slow.
        """
        given = 0
        news = self._news = asyncio.Event()
        try:
            while True:
                news.clear()
                if self.left:
                    raise StreamCut("the client took nothing for too long")
                end = self._end
                ready = self._body.size if end is _End.WHOLE else self._size_before_the_end()
                while given < ready:
                    piece = self._body.at(given, min(CHUNK, ready - given))
                    given += len(piece)
                    yield piece
                    reach("amid-stream")
                    if self.left:
                        raise StreamCut("the client took nothing for too long")
                    self._wait_for_client()
                if self._body.held and given >= self._size_before_the_end():
                    self._stop_timer()
                    self._body.forget(given)
                    self._body.go_on()
                if end is _End.WHOLE:
                    return
                if end is _End.CUT:
                    raise StreamCut("the answer was cut")
                await news.wait()
        finally:
            self.leave()

    @property
    def _oversized(self) -> bool:
        return self._body.size > self._receipt_body or self._body.crowded

    def _size_before_the_end(self) -> int:
        size = self._body.size
        return size if self._length is None else min(size, self._length - 1)

    def _begin(self) -> None:
        if self.response is not None and not self.told.done():
            self.begun = True
            self.told.set_result(None)

    def _grew(self) -> None:
        self._wake()
        if not self._oversized:
            return
        if self.left:
            self._body.forget(self._body.size)
            return
        # Whatever its status: nobody else will ever get this body, so there is nothing to keep it for.
        self._begin()
        self._body.hold()
        self._wait_for_client()

    def _wait_for_client(self) -> None:
        if self._body.held:
            self._stop_timer()
            self._timer = asyncio.get_running_loop().call_later(SLOWEST, self.leave)

    def _conclude(self, end: _End) -> None:
        if self._end is _End.OPEN:
            self._end = end
            self._wake()

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _is_event_stream(response: Response) -> bool:
    """Say whether a response is one of Server-Sent Events (HTML Living Standard §9.2)."""
    kinds = header_values(response.headers, "content-type")
    return bool(kinds) and kinds[0].partition(b";")[0].strip().lower() == EVENT_STREAM
