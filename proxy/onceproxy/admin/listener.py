"""The admin listener: is the process alive, may it be sent requests, what has it counted, what did it do?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from aiohttp import web

from onceproxy.admin.application import guarded_application
from onceproxy.admin.door import Door


class Counted(Protocol):
    """What was counted, as a page."""

    content_type: str

    def page(self) -> bytes:
        """Return all of it."""


class Part(Protocol):
    """What is served besides."""

    def add_to(self, application: web.Application) -> None:
        """Add its pages."""
        ...


class AdminListener:
    """Serves ``/healthz``, ``/readyz`` and ``/metrics`` on a port of its own, and ``parts``.

    ``ready`` says whether guarded requests can be served now. ``door`` says who is let in.
    """

    def __init__(
        self, ready: Callable[[], bool], metrics: Counted, door: Door, parts: Sequence[Part] = ()
    ) -> None:
        self._ready = ready
        self._metrics = metrics
        application = guarded_application(door)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._show_metrics)
        for part in parts:
            part.add_to(application)
        self._runner = web.AppRunner(application, access_log=None)

    async def listen(self, host: str, port: int) -> int:
        """Listen; return the port (a free one is picked for 0). Raises ``OSError`` where it is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stop serving."""
        await self._runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, request: web.Request) -> web.Response:
        if self._ready():
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "not ready"}, status=503)

    async def _show_metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), headers={"Content-Type": self._metrics.content_type})
