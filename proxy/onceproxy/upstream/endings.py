"""What the end of a connection says, inside TLS in particular."""

from __future__ import annotations

import ssl

from onceproxy.core.attempts import WirePhase

# What OpenSSL calls the alerts that are about the certificate of the one they are sent to (RFC 8446 §6.2).
_ABOUT_CERTIFICATES = (
    *("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED"),
    *("CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA"),
)

WHEN = {
    WirePhase.SENT_NOTHING: "before a byte of the request was sent",
    WirePhase.SENDING: "while the request was being sent",
    WirePhase.SENT: "after the whole request was sent",
    WirePhase.HEAD_RECEIVED: "amid the response",
    WirePhase.BODY_RECEIVED: "after the response",
}


def is_about_our_certificate(error: ssl.SSLError, version: str | None) -> bool:
    """Say whether an upstream ended TLS 1.3 because of our certificate.

    On a fresh connection that is proof that it read no request. There the client's handshake ends before the
    server has looked at its certificate, so the request is on its way by then. The server reads it only after
    the certificate (RFC 8446 §4.4), and we offer no authentication later on (§4.6.2), so these alerts can
    mean nothing else.
    """
    return version == "TLSv1.3" and any(alert in (error.reason or "") for alert in _ABOUT_CERTIFICATES)
