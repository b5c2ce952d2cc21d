"""The client's side of a tunnel that is opened: what it says first, and TLS with it.

A client that won't have our certificate, or can't be served for another reason, is told so by an alert, and
the operator by a line in the log, once a host: such hosts usually belong under ``tls.passthrough``.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

import structlog

from onceproxy.core.client_hello import (
    HANDSHAKE,
    ClientHello,
    HelloRefusal,
    read_client_hello,
    refusal,
)
from onceproxy.ingress.ports import TlsMeter

log = structlog.get_logger("onceproxy.ingress")

MOST_HOSTS = 1024  # whose failures are remembered as told

# What OpenSSL calls the alerts by which a client says that it does not take our certificate.
_DISTRUST = (
    *("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED"),
    *("UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED", "ACCESS_DENIED"),
)
_HINTS = {
    "distrusted": "the client does not take a certificate of the local CA: let it trust the CA (onceproxy "
    "env) or, if it pins certificates, name the host under tls.passthrough (its calls are unguarded then)",
    "left": "the client left in the handshake; if it always does, it may pin certificates (tls.passthrough)",
    HelloRefusal.OTHER_NAME.reason: "let the client CONNECT to the name that TLS is for, or name the host "
    "that it does CONNECT to under tls.passthrough",
    HelloRefusal.ENCRYPTED.reason: "turn off encrypted hellos (ECH) in the client, or name the host under "
    "tls.passthrough",
    HelloRefusal.NO_HTTP_1.reason: "let the client speak HTTP/1.1, or name the host under tls.passthrough",
    HelloRefusal.OLD_TLS.reason: "let the client speak TLS 1.2 or later",
}


class FirstBytes(asyncio.Protocol):
    """Keeps what a client says first, until it is known what speaks."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = False
        self._news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Keep the bytes."""
        self.data += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the one that waits; there will be nothing more to read."""
        self.ended = True
        self._news.set()

    async def opening(self) -> ClientHello | None:
        """Wait until it is known what speaks. None: it is no TLS, or the connection has ended.

        Raises:
            MalformedHello: it begins like TLS and is none.
        """
        while True:
            if self.data and self.data[0] != HANDSHAKE:
                return None
            hello = read_client_hello(self.data)
            if hello is not None or self.ended:
                return hello
            self._news.clear()
            await self._news.wait()


class Handshakes:
    """Opens TLS with clients. ``patience``: seconds that a handshake may take."""

    def __init__(self, meter: TlsMeter, patience: float) -> None:
        self._meter = meter
        self._patience = patience
        self._told: set[tuple[str, str]] = set()

    def may_open(self, transport: asyncio.Transport, hello: ClientHello | None, host: str) -> bool:
        """Say whether a hello (None: a malformed one) can be served; else tell the client, and close."""
        refused = refusal(hello, host) if hello is not None else HelloRefusal.MALFORMED
        if refused is None:
            return True
        transport.write(refused.record)
        transport.close()
        self._tell(host, refused.reason, refused.words)
        return False

    async def shake(
        self, transport: asyncio.Transport, hello: bytes, context: ssl.SSLContext, host: str
    ) -> tuple[asyncio.Transport, bytes] | None:
        """Shake hands; return the transport inside, reading paused, and what came early. None: it failed."""
        loop = asyncio.get_running_loop()
        inside = FirstBytes()
        handshake = loop.create_task(
            loop.start_tls(transport, inside, context, server_side=True, ssl_handshake_timeout=self._patience)
        )
        # The hello was read to tell what speaks, so it is fed to the TLS layer by hand: that layer is
        # there after the task's first step, and its own start is queued before this call.
        await asyncio.sleep(0)
        loop.call_soon(_feed, transport, hello)
        try:
            secure = await handshake
        except (ssl.SSLError, OSError) as error:
            transport.abort()
            self._failed(host, error)
            return None
        except asyncio.CancelledError:
            transport.abort()
            raise
        if secure is None:  # closed while it shook hands
            transport.abort()
            return None
        secure.pause_reading()
        return secure, inside.data

    def _failed(self, host: str, error: OSError) -> None:
        said = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
        if any(name in said for name in _DISTRUST):
            reason = "distrusted"
        elif isinstance(error, ConnectionError):
            reason = "left"
        else:
            reason = "failed"
        self._tell(host, reason, f"the handshake failed: {said or type(error).__name__}")

    def _tell(self, host: str, reason: str, words: str) -> None:
        self._meter.client_tls_failed(reason)
        if (host, reason) in self._told:
            return
        if len(self._told) >= MOST_HOSTS:
            self._told.clear()
        self._told.add((host, reason))
        log.warning("client-tls-failed", host=host, reason=reason, error=words, hint=_HINTS.get(reason))


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    layer = cast(asyncio.BufferedProtocol, transport.get_protocol())
    offset = 0
    while offset < len(data):
        buffer = memoryview(layer.get_buffer(len(data) - offset))
        size = min(len(buffer), len(data) - offset)
        buffer[:size] = data[offset : offset + size]
        layer.buffer_updated(size)
        offset += size
