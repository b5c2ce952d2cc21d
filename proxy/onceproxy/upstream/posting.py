"""Messages of our own to receivers: sent, and the status of the answer looked at, nothing else."""

from __future__ import annotations

import asyncio

from onceproxy.core.attempts import Failure, SendFailed, WirePhase
from onceproxy.core.messages import Request
from onceproxy.upstream.client import UpstreamClient

PATIENCE = 15.0  # seconds for one message, from the look-up of the name to the answer's head


class Poster:
    """Sends requests on connections of their own. There is no redirect: a 307 is no 2xx."""

    def __init__(self, client: UpstreamClient, patience: float = PATIENCE) -> None:
        self._client = client
        self._patience = patience

    async def __call__(self, request: Request) -> int:
        """Return the status of the answer, whose body nobody reads.

        Raises:
            SendFailed: there is none, or not in time.
        """
        try:
            async with asyncio.timeout(self._patience):
                response = await self._client.open(request)
                await response.aclose()
        except TimeoutError:
            detail = f"{request.origin.host}: no answer within {self._patience:g} seconds"
            raise SendFailed(WirePhase.SENT, Failure.TIMEOUT, detail) from None
        return response.status
