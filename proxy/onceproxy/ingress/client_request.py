"""A client's request as the library's, without what nobody here asks it for.

The library makes out a URL, the addresses of both ends and a writer for each request. Here the target is read
from the bytes, and most answers are written in one piece, by the connection.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler


class ClientRequest(web.BaseRequest):
    """One request; together with ``prompt`` this knows the library's inside."""

    def __init__(
        self,
        head: RawRequestMessage,
        payload: StreamReader,
        connection: RequestHandler,
        task: asyncio.Task[None],
    ) -> None:
        # Not the library's: see above.
        self._message = head
        self._headers = head.headers
        self._method = head.method
        self._version = head.version
        self._payload = payload
        self._protocol = connection
        self._task = task
        self._cache: dict[str, Any] = {  # where the library keeps what it has made out once
            "method": head.method,
            "version": head.version,
            "headers": head.headers,
            "raw_headers": head.raw_headers,
            "keep_alive": not head.should_close,
        }
        self._state = {}
        self._writer: StreamWriter | None = None

    @property
    def writer(self) -> AbstractStreamWriter:
        """What writes to the client piece by piece."""
        if self._writer is None:
            self._writer = StreamWriter(self._protocol, self._protocol._loop)
        return self._writer
