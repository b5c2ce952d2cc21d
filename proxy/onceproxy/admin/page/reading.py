"""The pages that show: an overview, unknown outcomes, receipts, one receipt, routes, instances."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from aiohttp import web

from onceproxy.admin.page import overview
from onceproxy.admin.page.answers import answer
from onceproxy.admin.page.asked import TIMES, Wanted, place
from onceproxy.admin.page.doubts import doubt_of, reached
from onceproxy.admin.page.history import steps
from onceproxy.admin.page.routes import route_lines
from onceproxy.admin.page.samples import Samples
from onceproxy.admin.page.shown import READ
from onceproxy.admin.page.site import NoSuchReceipt, html, request_id_of
from onceproxy.admin.page.timeline import picture
from onceproxy.admin.page.words import account
from onceproxy.core.messages import Body
from onceproxy.core.receipts import Receipt
from onceproxy.core.routes import Route
from onceproxy.core.states import State
from onceproxy.guard.ports import Unreadable
from onceproxy.store.records import COUNTED, Doubts, Filters, Records

LATEST, ROWS = 10, 50  # receipts on the overview, and on a page of the list
CARDS, ALL_CARDS = 5, 50  # unknown outcomes that are shown with their evidence
STEPS = 60  # of a history, at either end of which half is told in words


class Reading:
    """``routes`` gives the configured routes, in order."""

    def __init__(self, records: Records, samples: Samples, routes: Callable[[], Iterable[Route]]) -> None:
        self._records = records
        self._samples = samples
        self._routes = routes

    async def overview(self, request: web.Request) -> web.Response:
        """Show what goes on."""
        doubts = await self._records.doubts(CARDS)
        slices = await self._records.counts_by_time(overview.BACK, overview.WIDTH)
        latest = await self._records.page(Filters(), None, LATEST)
        minutes = self._samples.minutes()
        tiles = overview.tiles(slices, minutes, doubts.count, doubts.oldest, datetime.now(UTC))
        values = {**_cards(doubts), "tiles": tiles, "receipts": latest.receipts}
        return html(request, "overview.html", "/", values, live=True)

    async def unknown(self, request: web.Request) -> web.Response:
        """Show unknown outcomes with their evidence."""
        doubts = await self._records.doubts(ALL_CARDS)
        return html(request, "unknown.html", "/unknown", _cards(doubts), live=True)

    async def receipts(self, request: web.Request) -> web.Response:
        """Show a part of the list."""
        wanted, wrong = Wanted.of(request.query), ""
        try:
            after = place(request.query.get("cursor", ""))
        except ValueError:
            after, wrong = None, "The address names no place in the list: these are the newest receipts."
        page = await self._records.page(wanted.filters(datetime.now(UTC)), after, ROWS)
        names = [route.name for route in self._routes()]
        if wanted.route and wanted.route not in names:
            names.append(wanted.route)  # of a former configuration
        values = {
            "wanted": wanted,
            "filtered": bool(wanted.given),
            "wrong": wrong,
            "page": page,
            "older": wanted.link(page.next) if page.next is not None else "",
            "newest": wanted.link() if after is not None else "",
            "states": (*State,),
            "routes": names,
            "times": TIMES,
        }
        # What is older does not change its place, so there is nothing to refresh.
        return html(request, "receipts.html", "/receipts", values, live=after is None)

    async def receipt(self, request: web.Request) -> web.Response:
        """Show one receipt."""
        request_id = request_id_of(request)
        found = await self._records.show(request_id)
        if found is None:
            raise NoSuchReceipt("It was never there, was purged, or its time is over.")
        receipt, events = found
        history = steps(events)
        left_out = max(0, len(history) - STEPS)
        told = history if not left_out else (*history[: STEPS // 2], *history[-STEPS // 2 :])
        body = await self._body(receipt)
        # Decoding and hiding take their time, and others wait for this loop.
        shown_answer = await asyncio.to_thread(answer, receipt, body)
        values = {
            "receipt": receipt,
            "state": seen(receipt),
            "scope": await self._records.scope(request_id),
            "account": account(receipt),
            "can_resolve": in_doubt(receipt),
            "twice": any(event.kind == "executed-twice" for event in events),
            "steps": told,
            "steps_left_out": left_out,
            "picture": picture(history),
            "reached": reached(receipt),
            "response": shown_answer,
        }
        return html(request, "receipt.html", "/receipts", values, live=True)

    async def routes(self, request: web.Request) -> web.Response:
        """Show the routes, and how often each was hit."""
        lines = route_lines(self._routes(), await self._records.counts_by_route())
        states = (State.COMPLETED, State.IN_DOUBT, State.CLAIMED, State.RELEASED, State.TOMBSTONE)
        values = {"routes": lines, "states": states, "looked_at": f"{COUNTED:,}"}
        return html(request, "routes.html", "/routes", values, live=True)

    async def instances(self, request: web.Request) -> web.Response:
        """Show the proxies and their heartbeats."""
        found = await self._records.instances()
        return html(request, "instances.html", "/instances", {"instances": found}, live=True)

    async def _body(self, receipt: Receipt) -> Body | None:
        if receipt.response is None or receipt.body_size > READ:
            return None
        try:
            return await self._records.body(receipt)
        except Unreadable:
            return None


def _cards(doubts: Doubts) -> dict[str, object]:
    cards = [doubt_of(one) for one in doubts.found]
    return {"doubts": cards, "all_doubts": doubts.count, "more_doubts": doubts.count > len(cards)}


def in_doubt(receipt: Receipt) -> bool:
    """Say whether a person may settle it: it is in doubt, or the next who looks finds it so."""
    return receipt.state is State.IN_DOUBT or (receipt.state is State.CLAIMED and receipt.lease_left <= 0)


def seen(receipt: Receipt) -> State:
    """Return the state that a receipt has for whoever comes next."""
    if in_doubt(receipt):
        return State.IN_DOUBT
    expired = receipt.state is State.COMPLETED and receipt.expires_in <= 0
    return State.TOMBSTONE if expired else receipt.state
