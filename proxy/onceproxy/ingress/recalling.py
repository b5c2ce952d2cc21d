"""Copies that say the same byte for byte: what was found out about the first one holds for them.

A client that repeats a request as it was is answered from memory without reading it all again: no route, no
identity, no credential is made out anew. What is kept is found by a keyed digest of all that those were made
from, and holds for one set of rules.
"""

from __future__ import annotations

import hashlib
import marshal
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import cast

from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage

from onceproxy.core.messages import RawHeaders, Response
from onceproxy.core.receipts import Action
from onceproxy.core.redaction import is_redacted
from onceproxy.guard.answers import Answer
from onceproxy.guard.capture import Capture
from onceproxy.guard.guard import Guard
from onceproxy.ingress.client_connection import ClientConnection, Tunnel
from onceproxy.ingress.incoming import head_of
from onceproxy.ingress.prompt import LARGEST as LARGEST_ASKED
from onceproxy.ingress.responses import answer_response
from onceproxy.ingress.status import status_of
from onceproxy.signals.signals import Signals

MOST = 16 * 1024 * 1024  # bytes that all together take, about
LARGEST = 16 * 1024  # bytes of an answer: the larger it is, the less is won
FRAME = 2 * 1024  # bytes, about, that one takes besides its answer and its URL
_FORM = 2  # of marshal: the last in which equal values always have the same bytes


@dataclass(frozen=True, slots=True)
class Recalled:
    """An action whose copy was answered, and the answer's bytes ``before`` and ``after`` Onceproxy-Status."""

    action: Action
    response: Response
    redacted: bool
    before: bytes
    after: bytes

    def told(self, answer: Answer) -> bytes:
        """Return the bytes of an answer that replays the same response."""
        status = status_of(answer, redacted=self.redacted)
        return b"%s%s%s" % (self.before, status.encode("ascii"), self.after)

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return FRAME + len(self.before) + len(self.after) + len(self.action.url)


class Recall:
    """What is known of requests that were answered from receipts; those that came last are kept."""

    def __init__(self, guard: Guard, signals: Signals) -> None:
        self._guard = guard
        self._signals = signals
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, Recalled] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that all that is kept takes, about."""
        return self._size

    def answer(self, head: RawRequestMessage, body: bytes, tunnel: Tunnel | None) -> bytes | None:
        """Return the whole answer to a request of which all is known; None: it goes the way of others."""
        if not self._known or (known := self._known.get(place := self._place(head, body, tunnel))) is None:
            return None
        journey = self._signals.untraced(head.method, known.action.route, len(body))
        answer = None if journey is None else self._guard.at_once(known.action, known.response)
        if journey is None or answer is None or answer.response is not known.response:
            return None
        self._known.move_to_end(place)
        self._signals.decided(journey, known.action, answer)
        return known.told(answer)

    def _place(self, head: RawRequestMessage, body: bytes, tunnel: Tunnel | None) -> bytes:
        """Return where what is known of a request is kept: a digest of all that tells its action."""
        inside = None
        if tunnel is not None:
            origin = tunnel.origin
            inside = (origin.scheme, origin.host, origin.port, tunnel.login.user)
        said = (self._key, head.method, head.path, head.raw_headers, body, inside)
        return hashlib.sha256(marshal.dumps(said, _FORM)).digest()

    def keep(
        self, request: web.BaseRequest, body: Capture, action: Action, answer: Answer, via: RawHeaders
    ) -> None:
        """Keep what was found out about a request that got a replay, if nothing but that is due to copies."""
        response = answer.response
        if response is None or response.body.size > LARGEST or not _repeatable(request, body):
            return
        if not self._guard.remembers(action):
            return
        connection = cast(ClientConnection, request.protocol)
        place = self._place(head_of(request), body.read(), connection.tunnel)
        whole = answer_response(answer, via=via).whole(action.method)
        # At the start of a line only we can have written it: what an upstream says of the kind is left out.
        mark = b"\r\nOnceproxy-Status: "
        before, _, rest = whole.partition(mark)
        after = rest[rest.index(b"\r\n") :]
        known = Recalled(action, response, is_redacted(response), before + mark, after)
        if known.size > LARGEST:
            return
        if (former := self._known.pop(place, None)) is not None:
            self._size -= former.size
        self._known[place] = known
        self._size += known.size
        while self._size > MOST:
            self._size -= self._known.popitem(last=False)[1].size


def _repeatable(request: web.BaseRequest, body: Capture) -> bool:
    return (
        body.size <= LARGEST_ASKED
        and request.version == HttpVersion11
        and "expect" not in request.headers
        and not head_of(request).upgrade
    )
