"""Interim responses of an upstream (1xx) on their way to the client (RFC 9110 §15.2).

They are no answer: they say nothing of an outcome, are kept in no receipt, and go on as they arrive.
"""

from __future__ import annotations

from aiohttp import web

from onceproxy.core.messages import Interim
from onceproxy.core.via import via_line
from onceproxy.ingress.responses import head_bytes

MOST = 16  # to one request; what comes beyond it is dropped


class InterimRelay:
    """Writes the interim responses to one request to its client, until the final one's turn has come.

    A context manager: it relays while it lasts, and an attempt may outlive the wait for it.
    An HTTP/1.0 client gets none. ``via`` is our name in Via, if we have one.
    """

    def __init__(self, request: web.BaseRequest, via: bytes | None) -> None:
        self._request = request
        self._via = via
        self._room = MOST if request.version >= (1, 1) else 0

    def __enter__(self) -> InterimRelay:
        return self

    def __exit__(self, *_: object) -> None:
        self._room = 0

    def __call__(self, interim: Interim) -> None:
        """Pass one on."""
        transport = self._request.transport
        if not self._room or transport is None or transport.is_closing():
            return
        self._room -= 1
        via = () if self._via is None else via_line(interim.version, self._via)
        transport.write(head_bytes(interim.status, interim.reason, interim.headers + via))
