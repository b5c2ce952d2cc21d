"""Requests that are answered as they arrive, without waking the task that serves their connection.

Only one that is here whole, on a connection where nothing else is under way: so answers keep their order, and
what has to be waited for is served as ever. Together with ``client_connection`` and ``client_server`` this is
the only place that knows the library's inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EmptyStreamReader, StreamReader
from aiohttp.web_protocol import _PAYLOAD_ACCESS_ERROR, ERROR, RequestHandler, _ErrInfo

from onceproxy.ingress.responses import RawResponse

LARGEST = 64 * 1024  # bytes of a request's body that is looked at
_NO_WRITER: Any = None  # a request makes its own, where it needs one

AtOnce = Callable[[Any, RawRequestMessage, bytes], bytes | None]
"""Returns a whole response to a request of HTTP/1.1 that stays connected, or None where that takes longer."""


class PromptHandler(RequestHandler):
    """The library's protocol, for a handler that knows some answers ``at_once``."""

    at_once: AtOnce | None = None

    async def start(self) -> None:
        """Serve the requests of the connection in turn, until it closes.

        The library makes a task for each of them, which would not be back for the next one in time.
        """
        while not self._force_close:
            if not self._messages:
                await self._arrival()  # of one that could not be answered at once
            elif self._answered():
                continue
            head, payload = self._messages.popleft()
            self._make_room()
            if not await self._serve(head, payload) or not self._goes_on():
                break
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _arrival(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _make_room(self) -> None:
        """Let the next one be read that was sent ahead."""
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _serve(self, head: RawRequestMessage | _ErrInfo, payload: StreamReader) -> bool:
        """Answer one request; return whether the connection can go on."""
        if self._manager is None or self._request_factory is None or self._request_handler is None:
            return False  # lost in this moment
        self._manager.requests_count += 1
        task = cast("asyncio.Task[None]", self._task_handler or asyncio.current_task())
        handler = self._request_handler
        if isinstance(head, _ErrInfo):
            handler, head = self._make_error_handler(head), ERROR
        request = self._request_factory(head, payload, self, _NO_WRITER, task)
        try:
            response = await self._answer(request, handler)
            if response is None:
                return False
            self._keepalive = bool(response.keep_alive)
            if not payload.is_eof():
                await self._linger(payload)
            payload.set_exception(_PAYLOAD_ACCESS_ERROR)
        except ConnectionError:
            return False
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is ends this connection, and no other)
            self.log_exception("Unhandled exception", exc_info=error)
            self.force_close()
        finally:
            del request._task  # else the two would keep one another
        return True

    async def _answer(
        self, request: web.BaseRequest, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse | None:
        """Have a request answered, and write the answer; from then on the connection is idle.

        Return the answer, or None where it could not be written: the client has left.
        """
        self._request_in_progress = True
        self._current_request = request
        try:
            try:
                response = await handler(request)
            except Exception as error:  # noqa: BLE001 (its client is told that it failed)
                response = self.handle_error(request, 500, error)
            finally:
                self._current_request = None
            if isinstance(response, RawResponse) and self._wrote(response.in_one_piece(request)):
                return response
            _, lost = await self.finish_response(request, response, None)
            return None if lost else response
        finally:
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)

    async def _linger(self, payload: StreamReader) -> None:
        """Take what is left of a body that nobody wants, for a while, and close where it goes on and on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()
        if not payload.is_eof() and not self._force_close:
            self.close()

    def _goes_on(self) -> bool:
        if not self._keepalive or self._close or self._force_close:
            return False
        self._rest_idle()
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
        return True

    def _rest_idle(self) -> None:
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on where reading was paused. The library asks for it after each body, and parses once more."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def take(self, data: bytes) -> bool:
        """Parse what has arrived; return whether it was one request and is answered. Else wake who serves."""
        waiter, self._waiter = self._waiter, None  # woken only if there is something left to serve
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        if waiter is None or not self._messages or waiter.done():
            return False
        if self._answered():
            return True
        waiter.set_result(None)
        return False

    def _answered(self) -> bool:
        """Answer the only request that waits, if that can be done at once; return whether it was."""
        head, payload = self._messages[0]
        transport = self.transport
        if (
            self.at_once is None
            or len(self._messages) > 1
            or isinstance(head, _ErrInfo)
            or head.should_close
            or head.version != HttpVersion11
            or not payload.is_eof()
            or payload.exception() is not None
            or self._paused
            or self._upgraded
            or transport is None
            or transport.is_closing()
        ):
            return False
        body = _read(payload)
        answer = None if body is None else self.at_once(self, head, body)
        if answer is None:
            return False
        self._messages.clear()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._manager is not None:
            self._manager.requests_count += 1
        self._rest_idle()
        transport.write(answer)
        return True

    def _wrote(self, data: bytes | None) -> bool:
        """Write a whole response, if it is here and the client keeps up; return whether it was written."""
        transport = self.transport
        if data is None or self._paused or self._upgraded or transport is None or transport.is_closing():
            return False
        transport.write(data)
        return True


def _read(payload: StreamReader) -> bytes | None:
    """Return a body that is here, and leave it there; None: it is too large."""
    if isinstance(payload, EmptyStreamReader):
        return b""
    if payload._size > LARGEST:
        return None
    return b"".join(payload._buffer)
