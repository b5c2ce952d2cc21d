"""TLS sessions: a connection that resumes one is spared the upstream's certificates, and verifying them.

What is resumed was verified by the handshake that it goes back to, for one name in one context. So sessions
are kept by context, name and port, and for an hour after that handshake, whatever was resumed since
(RFC 8446 §4.6.1).

There is no early data (0-RTT, RFC 8446 §2.3), and there must never be: whoever records it can have the
upstream execute a request once more.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

LONGEST = 3600.0  # seconds until an upstream has to show its certificate again
EACH = 16  # for one name and port: so many connections to it can begin at once
MOST = 500  # in one context, some 8 KB each

Peer = tuple[str, int]
"""The name that the certificate was verified for, and the port."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A session; ``once``: for one connection.

    ``verified_until`` goes over to those that come of it, ``ends`` is its own end; both in Unix seconds.
    """

    session: ssl.SSLSession
    once: bool
    verified_until: float
    ends: float


class TlsContext:
    """A context, and the sessions that were made in it, which end with it.

    Who we are is up to the context, and so is whom we trust: none of that can be had by another's session.
    """

    def __init__(self, context: ssl.SSLContext, clock: Callable[[], float] = time.time) -> None:
        self.context = context
        self.clock = clock
        self._kept: dict[Peer, list[Kept]] = {}  # the peer that was called last comes last
        self._count = 0
        self._without: dict[Peer, float] = {}  # who gave none, and until when that is believed

    def take(self, peer: Peer) -> Kept | None:
        """Return a session to offer to ``peer``, the youngest; what is for one use is not kept any more."""
        kept, now = self.forget(peer), self.clock()
        alive = [one for one in kept if one.ends > now]
        if not alive:
            return None
        found = alive.pop() if alive[-1].once else alive[-1]
        if alive:
            self._kept[peer] = alive
            self._count += len(alive)
        return found

    def wants(self, peer: Peer) -> bool:
        """Say whether there is use for another session with ``peer``, and one to be had."""
        if self._without.get(peer, 0.0) > self.clock():
            return False
        kept = self._kept.get(peer)
        return kept is None or (kept[-1].once and len(kept) < EACH)

    def keep(self, peer: Peer, kept: Kept) -> None:
        """Keep a session; for it, those of the peers that were not called for the longest time go."""
        sessions = self.forget(peer)
        sessions.append(kept)
        self._kept[peer] = sessions
        self._count += len(sessions)
        while self._count > MOST:
            self.forget(next(iter(self._kept)))

    def gives_none(self, peer: Peer) -> None:
        """Note that ``peer`` gives no sessions, lest each connection looks for one."""
        self._without.pop(peer, None)
        self._without[peer] = self.clock() + LONGEST
        if len(self._without) > MOST:
            del self._without[next(iter(self._without))]

    def forget(self, peer: Peer) -> list[Kept]:
        """Keep none of the sessions with ``peer``; return those there were."""
        kept = self._kept.pop(peer, [])
        self._count -= len(kept)
        return kept


class Handshake:
    """The TLS of one dialling. It goes to the event loop for a context.

    Event loops have no parameter for a session, but all they ask of a client's context is ``wrap_bio``.
    """

    def __init__(self, context: TlsContext, port: int) -> None:
        self.context = context
        self._peer: Peer = ("", port)
        self._offers = True
        self._offered: Kept | None = None
        self._made: ssl.SSLObject | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> ssl.SSLObject:
        """Begin as a client, and offer a session if there is one for this very name."""
        if server_side or server_hostname is None:
            raise RuntimeError("upstreams are called by their names")
        self._peer = server_hostname, self._peer[1]
        self._offered = self.context.take(self._peer) if self._offers else None
        self._made = self.context.context.wrap_bio(
            incoming,
            outgoing,
            server_hostname=server_hostname,
            session=None if self._offered is None else self._offered.session,
        )
        return self._made

    def failed(self) -> bool:
        """Say whether a handshake that failed may be tried anew: it had offered a session.

        An upstream that can't use one should go on without it, but not all do. They are offered no more.
        """
        offered, self._offered = self._offered, None
        if offered is None:
            return False
        self.context.forget(self._peer)
        self._offers = False
        return True

    def keep(self) -> None:
        """Keep the session for other connections, when the upstream has answered on this one.

        In TLS 1.3 it comes behind the handshake only, and is used once, so that nobody on the way can tell
        which connections belong together (RFC 8446 §C.4); one of TLS 1.2 is used as long as it lasts.
        """
        made, self._made = self._made, None
        # One that has failed does not tell its version; its session must not be resumed (RFC 5246 §7.2.2).
        if made is None or (version := made.version()) is None:
            return
        once, offered = version == "TLSv1.3", self._offered
        if offered is not None and not made.session_reused:
            if not offered.once:
                self.context.forget(self._peer)
            offered = None
        if not self.context.wants(self._peer):
            return
        session = made.session  # a copy, at a tenth of the cost of a handshake
        if session is None or not (session.has_ticket or session.id):
            self.context.gives_none(self._peer)
            return
        if once and offered is not None and session.id == offered.session.id:
            return  # no other came
        verified = _verified_until(made, self.context.clock()) if offered is None else offered.verified_until
        lifetime = session.ticket_lifetime_hint if session.has_ticket else 0
        if not once and lifetime == 0:  # RFC 5077 §3.3: none was named; in TLS 1.3 it must not be used then
            lifetime = session.timeout
        ends = min(verified, session.time + lifetime)
        self.context.keep(self._peer, Kept(session, once, verified, ends))


def _verified_until(made: ssl.SSLObject, now: float) -> float:
    certificate = made.getpeercert(binary_form=True)
    if certificate is None:
        return now
    expires = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    return min(now + LONGEST, expires.timestamp())
