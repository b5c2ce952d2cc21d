"""From a name to a connection. Whatever fails here is proof that no byte of a request was sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar, cast

from onceproxy.core.attempts import Failure, SendFailed, WirePhase
from onceproxy.core.egress import Way
from onceproxy.upstream.egress import Gate, SocketAddress
from onceproxy.upstream.sessions import Handshake

_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.Protocol)


async def dial(
    make_protocol: Callable[[], _ProtocolT],
    host: str,
    port: int,
    *,
    gate: Gate,
    way: Way,
    tls: Handshake | None,
    timeout: float,
) -> _ProtocolT:
    """Connect to ``host`` and return the protocol of the connection.

    The name is resolved once, and those of its addresses that ``gate`` admits for ``way`` are tried in order:
    these very addresses, the name is not looked up again. With ``tls`` the certificate is verified
    for ``host``. ``timeout`` is for all of it, in seconds.

    Raises:
        SendFailed: it is forbidden to go there, the name was not found, nobody answers, or the TLS handshake
            failed.
    """
    gate.check_name(host, port, way)
    phase = WirePhase.RESOLVING
    try:
        async with asyncio.timeout(timeout):
            addresses = gate.admit(host, await _resolve(host, port), way)
            phase = WirePhase.CONNECTING
            return await _connect(make_protocol, host, addresses, tls)
    except TimeoutError:
        if tls is not None:
            tls.failed()  # it may be the session that it hung at
        words = "its name was not resolved" if phase is WirePhase.RESOLVING else "no connection"
        raise SendFailed(phase, Failure.TIMEOUT, f"{host}: {words} within {timeout:g} seconds") from None


async def _resolve(host: str, port: int) -> list[SocketAddress]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SendFailed(
            WirePhase.RESOLVING, Failure.NAME_NOT_RESOLVED, f"{host}: the name can't be resolved"
        ) from None
    addresses = [(str(entry[4][0]), int(entry[4][1])) for entry in found]
    return list(dict.fromkeys(addresses))


async def _connect(
    make_protocol: Callable[[], _ProtocolT],
    host: str,
    addresses: list[SocketAddress],
    tls: Handshake | None,
) -> _ProtocolT:
    loop = asyncio.get_running_loop()
    server_name = host.removesuffix(".") if tls is not None else None
    reason, left = "no address", addresses[::-1]
    while left:
        address, port = left.pop()
        try:
            _, protocol = await loop.create_connection(
                make_protocol, address, port, ssl=cast(ssl.SSLContext, tls), server_hostname=server_name
            )
        except OSError as error:
            if tls is not None and tls.failed():
                left.append((address, port))  # no request was sent, and a full handshake may do
            elif isinstance(error, ssl.SSLError):
                raise _refused_tls(host, error) from None
            else:
                # Also a handshake that the upstream broke off; no request was sent in any case.
                reason = error.strerror or type(error).__name__
        else:
            return protocol
    raise SendFailed(WirePhase.CONNECTING, Failure.CONNECTION_REFUSED, f"{host}: no connection: {reason}")


def _refused_tls(host: str, error: ssl.SSLError) -> SendFailed:
    words = _unverified(error) if isinstance(error, ssl.SSLCertVerificationError) else _no_handshake(error)
    return SendFailed(WirePhase.CONNECTING, Failure.TLS_FAILED, f"{host}: {words}")


# Of OpenSSL's X509_V_ERR_…
_EXPIRED, _NOT_YET, _OTHER_HOST = (10,), (9,), (62, 64)
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)


def _unverified(error: ssl.SSLCertVerificationError) -> str:
    """Return what is wrong with an upstream's certificate, and whose it is to mend."""
    code = error.verify_code
    if code in _EXPIRED:
        what = "it has expired; whoever runs the upstream has to renew it"
    elif code in _NOT_YET:
        what = "it is not valid yet; is this machine's clock right?"
    elif code in _OTHER_HOST:
        what = "it is for another host"
    elif code in _UNKNOWN_ISSUER:
        what = "its issuer is unknown; the roots of a company's own CA belong under tls.upstream_ca"
    else:
        what = "it can't be used"
    return f"its certificate does not verify: {what} ({error.verify_message})"


def _no_handshake(error: ssl.SSLError) -> str:
    reason = error.reason or type(error).__name__
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        hint = "; it speaks no TLS on this port"
    elif "PROTOCOL_VERSION" in reason or reason == "UNSUPPORTED_PROTOCOL":
        hint = "; it speaks no TLS from 1.2 on"
    elif "HANDSHAKE_FAILURE" in reason:
        hint = "; it may want a client certificate (tls.client_certificates)"
    else:
        hint = ""
    return f"the TLS handshake failed: {reason}{hint}"
