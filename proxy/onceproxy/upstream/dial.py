"""From a name to a connection. Whatever fails here is proof that no byte of a request was sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from onceproxy.core.attempts import Failure, SendFailed, WirePhase

_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.Protocol)


async def dial(
    make_protocol: Callable[[], _ProtocolT],
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    timeout: float,
) -> _ProtocolT:
    """Connect to ``host`` and return the protocol of the connection.

    The name is resolved once, and its addresses are tried in order. With ``tls`` the certificate is verified
    for ``host``. ``timeout`` is for all of it, in seconds.

    Raises:
        SendFailed: the name was not found, nobody answers, or the TLS handshake failed.
    """
    phase = WirePhase.RESOLVING
    try:
        async with asyncio.timeout(timeout):
            addresses = await _resolve(host, port)
            phase = WirePhase.CONNECTING
            return await _connect(make_protocol, host, addresses, tls)
    except TimeoutError:
        words = "its name was not resolved" if phase is WirePhase.RESOLVING else "no connection"
        raise SendFailed(phase, Failure.TIMEOUT, f"{host}: {words} within {timeout:g} seconds") from None


async def _resolve(host: str, port: int) -> list[tuple[str, int]]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SendFailed(
            WirePhase.RESOLVING, Failure.NAME_NOT_RESOLVED, f"{host}: the name can't be resolved"
        ) from None
    # What an address may be (no private network, no metadata service) is to be decided here: these very
    # addresses are dialled, the name is not looked up again.
    addresses = [(str(entry[4][0]), int(entry[4][1])) for entry in found]
    return list(dict.fromkeys(addresses))


async def _connect(
    make_protocol: Callable[[], _ProtocolT],
    host: str,
    addresses: list[tuple[str, int]],
    tls: ssl.SSLContext | None,
) -> _ProtocolT:
    loop = asyncio.get_running_loop()
    server_name = host.removesuffix(".") if tls is not None else None
    reason = "no address"
    for address, port in addresses:
        try:
            _, protocol = await loop.create_connection(
                make_protocol, address, port, ssl=tls, server_hostname=server_name
            )
        except ssl.SSLCertVerificationError as error:
            raise _refused_tls(host, f"its certificate does not verify: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise _refused_tls(host, f"the TLS handshake failed: {error.reason}") from None
        except OSError as error:
            # Also a handshake that the upstream broke off; no request was sent in any case.
            reason = error.strerror or type(error).__name__
        else:
            return protocol
    raise SendFailed(WirePhase.CONNECTING, Failure.CONNECTION_REFUSED, f"{host}: no connection: {reason}")


def _refused_tls(host: str, words: str) -> SendFailed:
    return SendFailed(WirePhase.CONNECTING, Failure.TLS_FAILED, f"{host}: {words}")
