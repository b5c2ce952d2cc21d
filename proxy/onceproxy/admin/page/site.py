"""What all handlers of the page share: the frame around it, and what is said where something goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from onceproxy.admin.application import asks_for_token, proof_of
from onceproxy.admin.page.rendering import Frame, render
from onceproxy.core.receipts import RequestId
from onceproxy.guard.ports import StoreUnavailable
from onceproxy.store.operator import NotPossible


class NoSuchReceipt(Exception):
    """There is none by this name; the text says why."""


def html(
    request: web.Request,
    name: str,
    here: str,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    live: bool = False,
) -> web.Response:
    """Answer with a page; ``live``: with the region of it that changes, where that is asked for."""
    frame = Frame(here, proof_of(request), asks_for_token(request))
    text = render(name, frame, values, fragment=live and "fragment" in request.query)
    return web.Response(status=status, text=text, content_type="text/html")


def request_id_of(request: web.Request) -> RequestId:
    """Return the request_id of the address. Raises ``NoSuchReceipt``."""
    try:
        return RequestId.parse(request.match_info["id"])
    except ValueError:
        raise NoSuchReceipt("The address names no receipt: that is oid_ and 52 letters and digits.") from None


def answering(handler: Handler) -> Handler:
    """Return a handler that says what went wrong as a page."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except NoSuchReceipt as error:
            return _trouble(request, 404, "There is no such receipt", str(error))
        except NotPossible as error:
            detail = f"{error} Look at the receipt: somebody, or its own late evidence, may have settled it."
            return _trouble(request, 409, "This can’t be done now", detail)
        except StoreUnavailable:
            detail = (
                "Nothing can be shown or changed until it does. If you were changing something, look at the "
                "receipt then: it may have been changed. The same word given twice is heard once."
            )
            return _trouble(request, 503, "The database does not answer", detail)

    return answer


def _trouble(request: web.Request, status: int, title: str, detail: str) -> web.Response:
    name = request.match_info.get("id", "")
    back = f"/receipts/{name}" if status != 404 and name.startswith("oid_") else ""
    response = html(
        request, "trouble.html", "", {"title": title, "detail": detail, "back": back}, status=status
    )
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response
