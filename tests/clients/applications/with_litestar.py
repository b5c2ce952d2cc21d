"""Litestar."""

from typing import Any

from effects import DATABASE, ROUTES, handle, served
from litestar import Litestar, Request, Response, get, post

from onceproxy.webhooks import OnceMiddleware


@post("/hooks/events")
async def events(request: Request[Any, Any, Any]) -> Response[dict[str, object]]:
    status, content = handle(await request.body())
    return Response(content, status_code=status, headers={"X-Taken": "yes"})


@get("/hooks/events")
async def there() -> dict[str, bool]:
    return {"there": True}


app = OnceMiddleware(Litestar([events, there]), routes=ROUTES, database=DATABASE)

if __name__ == "__main__":
    import uvicorn

    host, port = served()
    uvicorn.run(app, host=host, port=port, log_level="warning")
