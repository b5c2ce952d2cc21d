"""asgi-idempotency-header, in Redis: a server of its own, and one request to it."""

import json
import threading
import urllib.error
import urllib.request

import uvicorn
from effect import AMOUNT, KEY, REDIS_PORT, effect
from idempotency_header_middleware import IdempotencyHeaderMiddleware
from idempotency_header_middleware.backends.redis import RedisBackend
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def charge(request: Request) -> JSONResponse:
    return JSONResponse(await run_in_threadpool(effect, (await request.json())["amount"]))


app = Starlette(routes=[Route("/charges", charge, methods=["POST"])])
app.add_middleware(IdempotencyHeaderMiddleware, backend=RedisBackend(Redis(port=REDIS_PORT)))
server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    pass
port = server.servers[0].sockets[0].getsockname()[1]
asked = urllib.request.Request(
    f"http://127.0.0.1:{port}/charges",
    json.dumps({"amount": AMOUNT}).encode(),
    {"Content-Type": "application/json", "Idempotency-Key": KEY},
)
try:
    print(urllib.request.urlopen(asked, timeout=20).read().decode())
except urllib.error.HTTPError as error:
    print(f"refused: {error.code} {error.read().decode()[:80]}")
finally:
    server.should_exit = True
    thread.join()
