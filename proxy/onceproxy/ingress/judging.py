"""Which requests are actions, where the body tells; and what is learnt of them on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from onceproxy.core.canonical import NotCanonical, media_type
from onceproxy.core.codings import decode
from onceproxy.core.contents import content_codings
from onceproxy.core.jsonrpc import Hints
from onceproxy.core.messages import RawHeaders
from onceproxy.core.routes import Route
from onceproxy.core.tool_lists import listed_tools
from onceproxy.core.verdicts import Verdict
from onceproxy.ingress.annotations import Annotations
from onceproxy.ingress.identifying import INLINE, takes_long
from onceproxy.ingress.incoming import Incoming

MAX_LIST = 1024 * 1024  # bytes of a list of tools; a larger one is not looked into
_LOOKS = 8  # at a list while it arrives


class Judge:
    """Says of requests whether they are actions."""

    def __init__(self) -> None:
        self._annotations = Annotations()

    async def verdict(self, route: Route, incoming: Incoming) -> Verdict:
        """Judge a request whose body is there where ``route`` needs it."""
        request = incoming.request
        hints = self._annotations.of(request, incoming.user)
        if route.needs_body(request) and takes_long(request, route):
            return await asyncio.to_thread(route.verdict, request, hints)
        return route.verdict(request, hints)

    async def overhear(
        self, incoming: Incoming, headers: RawHeaders, chunks: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the answer to a request that asks for a list of tools, and take in what it says."""
        heard = bytearray()
        looks = 0
        async with aclosing(chunks):
            async for chunk in chunks:
                if len(heard) <= MAX_LIST:
                    heard += chunk
                if looks < _LOOKS:
                    # Before the client has it: it may call one of the tools at once, and read no further.
                    looks += 1
                    await self._take_in(incoming, headers, bytes(heard))
                yield chunk
        await self._take_in(incoming, headers, bytes(heard))

    async def _take_in(self, incoming: Incoming, headers: RawHeaders, heard: bytes) -> None:
        if len(heard) > MAX_LIST:
            return
        if len(heard) > INLINE:
            tools = await asyncio.to_thread(_tools, headers, heard)
        else:
            tools = _tools(headers, heard)
        self._annotations.learn(incoming.request, incoming.user, tools)


def _tools(headers: RawHeaders, heard: bytes) -> dict[str, Hints]:
    try:
        return listed_tools(media_type(headers), decode(heard, content_codings(headers)))
    except NotCanonical:
        return {}
