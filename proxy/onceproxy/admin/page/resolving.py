"""The forms with which a person settles an unknown outcome: filled in, confirmed, and heard once.

They work without a script. Sent twice, the second says what the receipt says already, and that is no error. A
form about an attempt that another one has followed is refused.
"""

from __future__ import annotations

from aiohttp import web

from onceproxy.admin.page.reading import in_doubt
from onceproxy.admin.page.saying import CONSEQUENCES, TITLES, Said, Verdict
from onceproxy.admin.page.site import NoSuchReceipt, html, request_id_of
from onceproxy.admin.page.words import doubt
from onceproxy.core.receipts import Receipt
from onceproxy.store.operator import NotPossible
from onceproxy.store.records import Records


class Resolving:
    """Shows the forms, and tells the records what was said."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def ask(self, request: web.Request) -> web.Response:
        """Show the form."""
        receipt = await self._receipt(request)
        if not in_doubt(receipt):
            raise NotPossible("It is not in doubt any more.")
        return _form(request, receipt, Said(attempt=str(receipt.attempt)), {})

    async def hear(self, request: web.Request) -> web.StreamResponse:
        """Take what was filled in: show what is wrong, or ask for a confirmation, or settle the doubt."""
        verdict = _verdict(request)
        form = await request.post()
        said, receipt = Said.of(form), await self._receipt(request)
        wrong = said.wrong(verdict)
        if wrong or form.get("step") == "change":
            return _form(request, receipt, said, wrong)
        if str(receipt.attempt) != said.attempt:
            raise NotPossible("Another attempt has begun since you looked.")
        if form.get("step") != "confirmed":
            return html(request, "confirm.html", "/unknown", _values(receipt, verdict, said))
        await self._records.resolve(receipt.request_id, said.resolution(verdict), receipt.attempt)
        raise web.HTTPSeeOther(f"/receipts/{receipt.request_id}")

    async def _receipt(self, request: web.Request) -> Receipt:
        found = await self._records.show(request_id_of(request))
        if found is None:
            raise NoSuchReceipt("It was never there, was purged, or its time is over.")
        return found[0]


def _form(request: web.Request, receipt: Receipt, said: Said, wrong: dict[str, str]) -> web.Response:
    values = {**_values(receipt, _verdict(request), said), "wrong": wrong}
    return html(request, "say.html", "/unknown", values, status=422 if wrong else 200)


def _values(receipt: Receipt, verdict: Verdict, said: Said) -> dict[str, object]:
    return {
        "title": TITLES[verdict],
        "consequence": CONSEQUENCES[verdict],
        "why": doubt(receipt.phase, receipt.failure),
        "receipt": receipt,
        "verdict": verdict.value,
        "said": said,
    }


def _verdict(request: web.Request) -> Verdict:
    return Verdict(request.path.rpartition("/")[2])
