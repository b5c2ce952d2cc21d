"""The handlers of the admin API. What is asked for is checked by the models; what is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from onceproxy.admin.api.cursors import cursor_of, place_of
from onceproxy.admin.api.models import Purge, Resolve, Wanted
from onceproxy.admin.api.openapi import openapi_document
from onceproxy.core.receipts import Receipt, RequestId, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Resolution, StoreUnavailable, Unreadable
from onceproxy.store.documents import receipt_document, row_document
from onceproxy.store.operator import NotPossible, entered_response
from onceproxy.store.records import COUNTED, Filters, Records

STATUS = 200  # of a response that nobody gave a status
MOST_BODY = 1 << 20  # bytes of what is sent to the API
BACK, WIDTH = timedelta(hours=1), timedelta(minutes=1)  # of the overview
DOUBTS = 20  # that the overview lists
_Model = TypeVar("_Model", bound=BaseModel)


class ReceiptsApi:
    """``routes`` names the configured routes, in order."""

    def __init__(self, records: Records, routes: Callable[[], Sequence[str]]) -> None:
        self._records = records
        self._routes = routes

    def add_to(self, application: web.Application) -> None:
        """Serve the API as a part of an application."""
        add = application.router.add_route
        for method, path, handler in (
            ("GET", "/api/receipts", self._list),
            ("GET", "/api/receipts/{id}", self._show),
            ("GET", "/api/receipts/{id}/body", self._body),
            ("POST", "/api/receipts/{id}/resolve", self._resolve),
            ("DELETE", "/api/receipts/{id}", self._purge),
            ("GET", "/api/overview", self._overview),
            ("GET", "/api/routes", self._route_counts),
            ("GET", "/api/instances", self._instances),
            ("GET", "/api/openapi.json", self._openapi),
        ):
            add(method, path, _answering(handler))

    async def _list(self, request: web.Request) -> web.Response:
        wanted = _checked(Wanted, dict(request.query))
        try:
            after = place_of(wanted.cursor) if wanted.cursor is not None else None
        except ValueError as error:
            raise _Wrong(400, f"cursor {error}", "cursor") from None
        filters = Filters(**wanted.model_dump(exclude={"limit", "cursor"}))
        page = await self._records.page(filters, after, wanted.limit)
        return web.json_response(
            {
                "receipts": [row_document(row) for row in page.receipts],
                "next": cursor_of(page.next) if page.next is not None else None,
                "looked_at": page.looked_at,
            }
        )

    async def _show(self, request: web.Request) -> web.Response:
        receipt, events = await self._found(request)
        return web.json_response({**receipt_document(receipt, events), "can": _possible(receipt)})

    async def _body(self, request: web.Request) -> web.Response:
        receipt, _ = await self._found(request)
        try:
            body = await self._records.body(receipt)
        except Unreadable as error:
            raise _Wrong(409, f"the body can't be decrypted: {error}") from error
        if body is None:
            raise _Wrong(404, "The receipt keeps no body, or the database does not give it back as it was.")
        # As a file and nothing else: a browser must not take it for a page of ours.
        return web.Response(
            body=b"".join(body.chunks()),
            content_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{receipt.request_id}"'},
        )

    async def _resolve(self, request: web.Request) -> web.Response:
        request_id = _id_of(request)
        said = _checked(Resolve, await _document(request))
        if not said.happened and (said.status is not None or said.headers or said.body is not None):
            raise _Wrong(400, "status, headers and body describe what happened: leave them out.", "happened")
        response = None
        if said.happened:
            headers = tuple((name.encode("ascii"), value.encode("latin-1")) for name, value in said.headers)
            response = entered_response(said.status or STATUS, headers, (said.body or "").encode())
        resolution = Resolution(said.happened, Source.OPERATOR, _signed(said.note, said.by), response)
        changed = await self._records.resolve(request_id, resolution)
        state = State.COMPLETED if said.happened else State.RELEASED
        return web.json_response({"request_id": str(request_id), "state": state.value, "changed": changed})

    async def _purge(self, request: web.Request) -> web.Response:
        request_id = _id_of(request)
        said = _checked(Purge, await _document(request))
        await self._records.purge(request_id, _signed(said.note, said.by))
        return web.json_response(
            {"request_id": str(request_id), "state": State.ABSENT.value, "changed": True}
        )

    async def _overview(self, request: web.Request) -> web.Response:
        slices: dict[str, dict[str, int]] = {}
        for one in await self._records.counts_by_time(BACK, WIDTH):
            slices.setdefault(one.slice.isoformat(), {})[one.state.value] = one.receipts
        doubts = await self._records.page(Filters(state=State.IN_DOUBT), None, DOUBTS)
        instances = await self._records.instances()
        return web.json_response(
            {
                "slices": [{"at": at, "receipts": receipts} for at, receipts in slices.items()],
                "in_doubt": [row_document(row) for row in doubts.receipts],
                "more_in_doubt": doubts.next is not None,
                "instances_alive": sum(one.alive for one in instances),
                "looked_at": COUNTED,
            }
        )

    async def _route_counts(self, request: web.Request) -> web.Response:
        names = list(self._routes())
        found: dict[str, dict[str, Any]] = {
            name: {"name": name, "configured": True, "receipts": {}, "newest": None} for name in names
        }
        for one in await self._records.counts_by_route():
            unknown = {"name": one.route, "configured": False, "receipts": {}, "newest": None}
            route = found.setdefault(one.route, unknown)
            route["receipts"][one.state.value] = one.receipts
            route["newest"] = max(filter(None, (route["newest"], one.newest.isoformat())))
        return web.json_response({"routes": list(found.values()), "looked_at": COUNTED})

    async def _instances(self, request: web.Request) -> web.Response:
        found = [asdict(one) for one in await self._records.instances()]
        return web.json_response({"instances": found}, dumps=lambda value: json.dumps(value, default=str))

    async def _openapi(self, request: web.Request) -> web.Response:
        return web.json_response(openapi_document())

    async def _found(self, request: web.Request) -> tuple[Receipt, Any]:
        request_id = _id_of(request)
        found = await self._records.show(request_id)
        if found is None:
            raise _Wrong(404, f"There is no receipt {request_id}.")
        return found


class _Wrong(Exception):
    """What was asked for can't be done: the problem that says why."""

    def __init__(self, status: int, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.field = field


TITLES = {
    400: "The request is not as it must be",
    404: "There is nothing here",
    409: "It can't be done now",
    503: "The database does not answer",
}


def _answering(handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except _Wrong as error:
            return _problem(error.status, str(error), error.field)
        except NotPossible as error:
            absent = str(error).startswith("there is no receipt")
            return _problem(404 if absent else 409, str(error))
        except StoreUnavailable:
            return _problem(503, "Nothing was changed, or it is not known: ask again in a moment.")

    return answer


def _problem(status: int, detail: str, field: str | None = None) -> web.Response:
    content = {"title": TITLES[status], "status": status, "detail": detail, "field": field}
    response = web.json_response(content, status=status, content_type="application/problem+json")
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _checked(model: type[_Model], given: Any) -> _Model:
    try:
        return model.model_validate(given, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or None
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            raise _Wrong(400, f"{field}: there is no such member; there are {known}.", field) from None
        raise _Wrong(400, f"{field or 'The document'}: {first['msg']}.", field) from None


async def _document(request: web.Request) -> Any:
    if request.content_type != "application/json":
        raise _Wrong(400, "Send a JSON object, with Content-Type: application/json.")
    data = await request.content.read(MOST_BODY + 1)
    while len(data) <= MOST_BODY and (more := await request.content.read(MOST_BODY + 1 - len(data))):
        data += more
    if len(data) > MOST_BODY:
        raise _Wrong(400, f"The document is larger than {MOST_BODY} bytes.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise _Wrong(400, "The document is no JSON.") from None


def _id_of(request: web.Request) -> RequestId:
    try:
        return RequestId.parse(request.match_info["id"])
    except ValueError as error:
        raise _Wrong(404, f"{error}.", "id") from None


def _possible(receipt: Receipt) -> list[str]:
    gone = receipt.state is State.CLAIMED and receipt.lease_left <= 0
    if receipt.state is State.IN_DOUBT or gone:
        return ["resolve"]
    return [] if receipt.state is State.CLAIMED else ["purge"]


def _signed(note: str, by: str | None) -> str:
    return f"{by or 'admin API'}: {note}"
