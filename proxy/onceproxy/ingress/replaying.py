"""What a copy brings with it that its answer has to bear: the ids of its calls of JSON-RPC."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from onceproxy.core.messages import Request
from onceproxy.core.receipts import Action
from onceproxy.core.renumbering import CallIds, ids_of
from onceproxy.core.routes import Route
from onceproxy.core.rules import BodyForm
from onceproxy.guard.answers import Answer
from onceproxy.ingress.identifying import INLINE


class Copy:
    """One copy of an action, on its way to the guard and back."""

    def __init__(self, ids: CallIds | None) -> None:
        self._ids = ids

    @classmethod
    async def of(cls, request: Request, route: Route) -> Copy:
        """Read what the answer to a request will have to bear."""
        if route.identity.fingerprint.body.form is not BodyForm.JSONRPC:
            return cls(None)
        if request.body.size <= INLINE:
            return cls(ids_of(request))
        return cls(await asyncio.to_thread(ids_of, request))

    @property
    def says_all(self) -> bool:
        """Whether it gets the answer as it was given to the others."""
        return self._ids is None

    def marked(self, action: Action) -> Action:
        """Return the action with what has to be kept for later copies."""
        return action if self._ids is None else replace(action, kept=self._ids.kept)

    async def answered(self, answer: Answer) -> Answer:
        """Return the guard's answer as this copy gets it. The one that was sent gets the upstream's own."""
        if self._ids is None or not answer.replayed or answer.response is None:
            return answer
        if answer.response.body.size <= INLINE:
            return replace(answer, response=self._ids.answer(answer.response))
        return replace(answer, response=await asyncio.to_thread(self._ids.answer, answer.response))
