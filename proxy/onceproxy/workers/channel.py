"""What a supervisor and a worker say to one another, over a pair of sockets that nobody else has.

The end of the one is the end of the channel for the other, however it came about: that is how each learns of
it, and why no worker outlives its supervisor.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from dataclasses import dataclass

from onceproxy.config.model import Settings
from onceproxy.serve import Place

_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Begin:
    """To a worker, first: what it works with. ``grace``: seconds, for a stop that nobody tells it of.

    The settings come from the supervisor and not from the file, which may have changed since it started: a
    worker over another database than its siblings' could execute what they have executed.
    """

    settings: Settings
    place: Place
    grace: float


@dataclass(frozen=True, slots=True)
class Follow:
    """To a worker: treat the requests that come from now on as these settings say."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Bury:
    """To a worker: a sibling died, and what it had claimed is in doubt."""


@dataclass(frozen=True, slots=True)
class Stop:
    """To a worker: end, and let what is in flight end within ``grace`` seconds."""

    grace: float


@dataclass(frozen=True, slots=True)
class Hurry:
    """To a worker that stops: do not wait for what is in flight."""


@dataclass(frozen=True, slots=True)
class Word:
    """From a worker, again and again: whether it may send. The first one says that it serves."""

    may_send: bool


class Channel:
    """One end. Values pass whole and in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        """Talk over one of a pair of sockets, which is the channel's from now on."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def tell(self, message: object) -> None:
        """Say something, without waiting for it to arrive; to nobody if the other side is gone."""
        if not self._writer.is_closing():
            data = pickle.dumps(message)
            self._writer.write(_LENGTH.pack(len(data)) + data)

    async def hear(self) -> object | None:
        """Return what the other side says next; None: it is gone."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            data = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        message: object = pickle.loads(data)  # noqa: S301 (from our own parent or child)
        return message

    async def close(self) -> None:
        """Let go of it: the other side hears nothing more."""
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)
