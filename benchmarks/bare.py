"""A pass-through as one would write it with aiohttp, to compare with: `python -m benchmarks.bare PORT`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict

DROPPED = {"connection", "content-length", "host", "keep-alive", "proxy-connection", "transfer-encoding"}


def kept(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Return the headers that go on."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in DROPPED)


async def serve(port: int) -> None:
    unbound, no_jar = TCPConnector(limit=0), DummyCookieJar()
    async with ClientSession(connector=unbound, cookie_jar=no_jar, auto_decompress=False) as session:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            async with session.request(
                request.method,
                str(request.url),
                headers=kept(request.headers),
                data=await request.read(),
                allow_redirects=False,
            ) as answer:
                return web.Response(
                    status=answer.status, headers=kept(answer.headers), body=await answer.read()
                )

        server = await asyncio.get_running_loop().create_server(
            web.Server(handle, access_log=None), "127.0.0.1", port, backlog=1024
        )
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
