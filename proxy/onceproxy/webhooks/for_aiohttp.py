"""The middleware for applications of aiohttp.web."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict

from onceproxy.core.messages import BytesBody, Origin, Request, Response
from onceproxy.ingress.targets import BadTarget, parse_absolute
from onceproxy.webhooks.answers import Told, told
from onceproxy.webhooks.asgi import parse_origin
from onceproxy.webhooks.deliveries import Deliveries, Passed, Raised
from onceproxy.webhooks.handling import Delivery


def guard_deliveries(application: web.Application, *, origin: str | None = None, **options: Any) -> None:
    """Run the handlers of an application once for each delivery, and replay their responses.

    As ``OnceMiddleware``, whose arguments it takes. It comes before the middlewares that are there by now,
    and opens and closes with the application. Bodies may be as large as ``client_max_size`` allows.

    Raises:
        ConfigError: the configuration can't be used.
        ValueError: the origin is none.
    """
    deliveries = Deliveries(**options)
    fixed = None if origin is None else parse_origin(origin)
    application.middlewares.insert(0, _middleware(deliveries, fixed))

    async def life(_: web.Application) -> AsyncIterator[None]:
        await deliveries.open()
        yield
        await deliveries.close()

    application.cleanup_ctx.append(life)


def _middleware(deliveries: Deliveries, origin: Origin | None) -> Middleware:
    @web.middleware
    async def once(request: web.Request, handler: Handler) -> web.StreamResponse:
        head = Request(
            request.method,
            origin or _origin(request),
            request.rel_url.raw_path_qs.encode("ascii", "surrogateescape"),
            tuple(request.raw_headers),
        )
        if deliveries.passes(head):
            return await handler(request)
        body = await request.read()  # the handler gets the same
        whole = Request(head.method, head.origin, head.target, head.headers, BytesBody(body))
        answer = await deliveries.deliver(whole, Delivery(lambda: _handled(request, handler)))
        if isinstance(answer, Passed):
            return await handler(request)
        if isinstance(answer, Raised):
            raise answer.error
        return await _response(told(answer))

    return once


def _origin(request: web.Request) -> Origin:
    host = request.headers.get(hdrs.HOST, "localhost")
    try:
        return parse_absolute(f"{request.scheme}://{host}/".encode("latin-1", "replace"))[0]
    except BadTarget:
        return Origin(request.scheme, "localhost", 443 if request.scheme == "https" else 80)


async def _handled(request: web.Request, handler: Handler) -> Response:
    try:
        response = await handler(request)
    except web.HTTPException as raised:  # a response, as aiohttp has it
        response = raised
    if response.prepared or not isinstance(response, web.Response):
        raise TypeError("a guarded handler returns a web.Response, and writes nothing by itself")
    body = response.body
    if body is None:
        content = b""
    elif isinstance(body, bytes | bytearray):
        content = bytes(body)
    else:
        content = await body.as_bytes()
    headers = tuple((name.encode(), value.encode()) for name, value in response.headers.items())
    headers += tuple((b"Set-Cookie", morsel.OutputString().encode()) for morsel in response.cookies.values())
    return Response(
        response.status, (response.reason or "").encode("latin-1", "replace"), headers, BytesBody(content)
    )


async def _response(answer: Told) -> web.Response:
    content = answer.content
    if not isinstance(content, bytes):
        content = b"".join([piece async for piece in content])
    headers = CIMultiDict(
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in answer.headers
        if name.lower() != b"content-length"  # it writes its own
    )
    return web.Response(status=answer.status, body=content, headers=headers)
