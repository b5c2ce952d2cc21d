"""Starlette, with a streamed answer, and another middleware around the handler."""

from collections.abc import AsyncIterator

from effects import DATABASE, ROUTES, handle, served
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from onceproxy.webhooks import OnceMiddleware


async def events(request: Request) -> Response:
    status, content = handle(await request.body())

    async def pieces() -> AsyncIterator[bytes]:
        yield JSONResponse(content).body[:3]
        yield JSONResponse(content).body[3:]

    return StreamingResponse(pieces(), status, {"X-Taken": "yes"}, "application/json")


async def there(request: Request) -> Response:
    return JSONResponse({"there": True})


async def marked(request: Request, call_next: object) -> Response:
    response: Response = await call_next(request)  # type: ignore[operator]  # as the library has it
    response.headers["X-Seen"] = "yes"
    return response


app = Starlette(
    routes=[Route("/hooks/events", events, methods=["POST"]), Route("/hooks/events", there)],
    middleware=[
        Middleware(OnceMiddleware, routes=ROUTES, database=DATABASE),
        Middleware(BaseHTTPMiddleware, dispatch=marked),
    ],
)

if __name__ == "__main__":
    import uvicorn

    host, port = served()
    uvicorn.run(app, host=host, port=port, log_level="warning")
