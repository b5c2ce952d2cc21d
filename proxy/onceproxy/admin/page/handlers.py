"""The page as a part of the admin listener: its addresses, and the files that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import resources

from aiohttp import web

from onceproxy.admin.page.reading import Reading
from onceproxy.admin.page.resolving import Resolving
from onceproxy.admin.page.samples import Counted, Samples
from onceproxy.admin.page.saying import Verdict
from onceproxy.admin.page.site import answering
from onceproxy.core.routes import Route
from onceproxy.store.records import Records

FILES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class ReceiptsPage:
    """``routes`` gives the configured routes, in order; ``counted`` is what ``/metrics`` shows."""

    def __init__(self, records: Records, counted: Counted, routes: Callable[[], Iterable[Route]]) -> None:
        self._samples = Samples(counted)
        self._reading = Reading(records, self._samples, routes)
        self._resolving = Resolving(records)

    def add_to(self, application: web.Application) -> None:
        """Serve the page as a part of an application."""
        application.cleanup_ctx.append(self._samples.follow)
        router = application.router
        router.add_get("/static/{name}", _file)
        for path, handler in (
            ("/", self._reading.overview),
            ("/unknown", self._reading.unknown),
            ("/receipts", self._reading.receipts),
            ("/receipts/{id}", self._reading.receipt),
            ("/routes", self._reading.routes),
            ("/instances", self._reading.instances),
        ):
            router.add_get(path, answering(handler))
        for verdict in Verdict:
            path = f"/receipts/{{id}}/{verdict}"
            router.add_get(path, answering(self._resolving.ask))
            router.add_post(path, answering(self._resolving.hear))


async def _file(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in FILES:
        raise web.HTTPNotFound
    data = resources.files(__package__).joinpath("static", name).read_bytes()
    return web.Response(body=data, content_type=FILES[name], charset="utf-8")
