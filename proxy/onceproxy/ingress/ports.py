"""What the ingress needs of the way out, so that the two edges need not know one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from onceproxy.core.messages import Interim, RawHeaders, Request


class OpenResponse(Protocol):
    """A response whose head has arrived and whose body is still to come."""

    @property
    def status(self) -> int:
        """The status code; 101 only where an upgrade was asked for."""
        ...

    @property
    def reason(self) -> bytes:
        """The reason phrase."""
        ...

    @property
    def version(self) -> str:
        """The version of HTTP that it came in: 1.0 or 1.1."""
        ...

    @property
    def headers(self) -> RawHeaders:
        """The end-to-end headers."""
        ...

    @property
    def content_length(self) -> int | None:
        """The announced length of the body, or None if only its end will tell."""
        ...

    @property
    def whole(self) -> bytes | None:
        """The body, if all of it was there with the head; ``chunks`` yields it as well."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises ``SendFailed`` where it is cut."""
        ...

    def hijack(self) -> tuple[asyncio.Transport, bytes]:
        """Hand over the connection after a 101: the paused transport, and bytes that came behind the head."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection; closes it unless the body was read to its end."""
        ...


class TlsMeter(Protocol):
    """Counts clients with which TLS fails."""

    def client_tls_failed(self, reason: str) -> None:
        """A tunnel could not be opened; ``reason`` is one of a few words."""
        ...


class TunnelMeter(Protocol):
    """Counts opaque tunnels."""

    def tunnel_opened(self, kind: str) -> None:
        """One is being opened: ``connect`` or ``upgrade``."""
        ...

    def tunnel_closed(self, kind: str) -> None:
        """One that was being opened is closed, or was not opened after all."""
        ...


class IngressMeter(TlsMeter, TunnelMeter, Protocol):
    """Counts both."""


class Outbound(Protocol):
    """The unguarded ways out."""

    async def open(
        self,
        request: Request,
        *,
        body: bytes | AsyncIterator[bytes] | None = None,
        length: int | None = None,
        upgrade: bytes | None = None,
        interim: Callable[[Interim], None] | None = None,
    ) -> OpenResponse:
        """Send a request and return at its response's head. Raises ``SendFailed``.

        ``interim`` is told the interim responses before it.
        """
        ...

    def check(self, host: str, port: int) -> None:
        """Judge a host for HTTP by its name. Raises ``SendFailed`` where no request may go there."""
        ...

    async def tunnel(
        self, host: str, port: int, protocol: Callable[[], asyncio.Protocol]
    ) -> asyncio.Protocol:
        """Connect to a host for opaque bytes. Raises ``SendFailed``."""
        ...
