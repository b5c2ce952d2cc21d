"""The middleware for ASGI 3 applications (https://asgi.readthedocs.io/en/latest/specs/main.html)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request, Response, header_values
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.ingress.targets import BadTarget, parse_absolute
from onceproxy.webhooks.answers import Told, told
from onceproxy.webhooks.deliveries import Deliveries, Passed, Raised
from onceproxy.webhooks.handling import Delivery

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


class OnceMiddleware:
    """Runs handlers of an ASGI application once for each delivery, and replays their responses.

    What a delivery is, and what makes two of them the same, the routes say, as in a configuration file of the
    proxy. Reads pass. A response is sent when its receipt is durable; guarded ones are not streamed.

    Args:
        app: the application.
        options: those of ``Deliveries``: config, routes, database, data_dir, grace.
        origin: where senders think the application is, as in ``https://hooks.example.com``: a part of what
            makes two deliveries the same. None: what each request says in ``Host``.

    Raises:
        ConfigError: the configuration can't be used.
        ValueError: the origin is none.
    """

    def __init__(self, app: App, *, origin: str | None = None, **options: Any) -> None:
        self._app = app
        self._deliveries = Deliveries(**options)
        self._origin = None if origin is None else parse_origin(origin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] != "http" or self._deliveries.passes(head := self._head(scope)):
            await self._app(scope, receive, send)
        else:
            await self._serve(head, scope, receive, send)

    async def _serve(self, head: Request, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive, self._deliveries.largest)
        if body is None:
            return  # the sender has left
        if isinstance(body, Problem):
            await _tell(told(body), send)
            return
        request = Request(head.method, head.origin, head.target, head.headers, BytesBody(body))
        again = _again(body, receive)
        delivery = Delivery(lambda: _handled(self._app, scope, again))
        answer = await self._deliveries.deliver(request, delivery)
        if isinstance(answer, Passed):
            await self._app(scope, again, send)
        elif isinstance(answer, Raised):
            raise answer.error  # to whoever reports errors, and answers 500
        else:
            await _tell(told(answer), send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pass_on(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._deliveries.open()
            elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self._deliveries.close()
            await send(message)

        await self._app(scope, receive, pass_on)

    def _head(self, scope: Mapping[str, Any]) -> Request:
        headers: RawHeaders = tuple((bytes(name), bytes(value)) for name, value in scope["headers"])
        path = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
        query = scope.get("query_string", b"")
        target = path.partition(b"?")[0] + (b"?" + query if query else b"")
        return Request(scope["method"], self._origin or _origin(scope, headers), target, headers)


def parse_origin(text: str) -> Origin:
    """Return an origin.

    Raises:
        ValueError: it is none, as in ``https://hooks.example.com``.
    """
    try:
        origin, target = parse_absolute(text.encode("ascii"))
    except (BadTarget, UnicodeEncodeError) as error:
        raise ValueError(f"origin: {text!r} is none: {error}") from None
    if target not in (b"", b"/"):
        raise ValueError(f"origin: {text!r} has a path; leave it out")
    return origin


def _origin(scope: Mapping[str, Any], headers: RawHeaders) -> Origin:
    scheme = scope.get("scheme", "http")
    server = scope.get("server") or ("localhost", None)
    fallback = Origin(scheme, str(server[0]).lower(), server[1] or (443 if scheme == "https" else 80))
    hosts = header_values(headers, "host")
    if len(hosts) != 1:
        return fallback
    try:
        return parse_absolute(b"%s://%s/" % (scheme.encode("ascii"), hosts[0]))[0]
    except BadTarget:
        return fallback


async def _body(receive: Receive, largest: int) -> bytes | Problem | None:
    """Return the body of a request; None: its sender has left before the end of it."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        piece = message.get("body", b"")
        size += len(piece)
        if size > largest:
            return Problem(
                ProblemType.BODY_TOO_LARGE,
                f"The body is larger than the {largest} bytes of limits.request_body. No handler was run.",
            )
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read once more, and then whatever comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _handled(app: App, scope: Scope, receive: Receive) -> Response:
    """Run an application for one request, and return its whole response."""
    status, ended = 0, False
    headers: RawHeaders = ()
    pieces: list[bytes] = []

    async def take(message: Message) -> None:
        nonlocal status, headers, ended
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = tuple((bytes(name), bytes(value)) for name, value in message.get("headers", ()))
        elif message["type"] == "http.response.body":
            pieces.append(bytes(message.get("body", b"")))
            ended = not message.get("more_body", False)

    # What writes past us, such as files by name or trailers, would be no part of the receipt.
    alone = {**scope, "extensions": {}}
    await app(alone, receive, take)
    if not ended:
        raise RuntimeError("the application ended without a whole response")
    return Response(status, b"", headers, BytesBody(b"".join(pieces)))


async def _tell(response: Told, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if isinstance(response.content, bytes):
        await send({"type": "http.response.body", "body": response.content})
        return
    async with aclosing(response.content) as pieces:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
