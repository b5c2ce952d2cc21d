"""aiohttp.web."""

from aiohttp import web
from effects import DATABASE, ROUTES, handle, served

from onceproxy.webhooks.for_aiohttp import guard_deliveries


async def events(request: web.Request) -> web.Response:
    status, content = handle(await request.read())
    return web.json_response(content, status=status, headers={"X-Taken": "yes"})


async def there(request: web.Request) -> web.Response:
    return web.json_response({"there": True})


app = web.Application()
app.router.add_post("/hooks/events", events)
app.router.add_get("/hooks/events", there)
guard_deliveries(app, routes=ROUTES, database=DATABASE)

if __name__ == "__main__":
    host, port = served()
    web.run_app(app, host=host, port=port, print=None)
