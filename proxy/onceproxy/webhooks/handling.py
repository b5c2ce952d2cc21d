"""A handler as what the guard executes: it is run once, and its response is the receipt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass

import structlog

from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import BytesBody, Request, Response
from onceproxy.crashpoints import reach
from onceproxy.guard.ports import TellInterim

log = structlog.get_logger("onceproxy.webhooks")

Handle = Callable[[], Awaitable[Response]]
"""Runs a handler to its end, and returns its whole response."""


@dataclass(slots=True)
class Delivery:
    """One delivery on its way. ``error`` is what its handler raised, if it was run and did."""

    handle: Handle
    error: Exception | None = None


under_way: ContextVar[Delivery] = ContextVar("onceproxy delivery")
"""The delivery that a task is about: whoever executes it may be a task of its own."""


class Handlers:
    """The guard's way to execute: it runs the handler of the delivery that is under way."""

    async def send(
        self,
        request: Request,
        may_send: Callable[[], bool],
        *,
        reuse_idle: float | None = None,
        head_arrived: Callable[[Response], None] | None = None,
        interim: TellInterim = None,
    ) -> Attempt:
        """Run the handler, and say what came of it.

        One that raises has answered 500, as every server answers for it, and what it raised is kept for
        whoever serves it.
        """
        delivery = under_way.get()
        if not may_send():
            return Attempt(
                WirePhase.SENT_NOTHING,
                failure=Failure.LEASE_LOST,
                detail="the right to run the handler ran out before it was run",
            )
        detail = ""
        try:
            response = await delivery.handle()
        except Exception as error:  # noqa: BLE001 - whatever a handler of others raises, it may have had its effect
            delivery.error = error
            detail = f"the handler raised {type(error).__name__}"
            response = Response(500, b"", (), BytesBody())
            log.warning("handler-raised", error=type(error).__name__, method=request.method)
        reach("body-received")
        return Attempt(WirePhase.BODY_RECEIVED, response=response, status=response.status, detail=detail)
