"""Which TLS sessions are kept, and for how long; handshakes are real ones, in memory."""

from __future__ import annotations

import datetime
import ssl
import time
from dataclasses import dataclass
from typing import cast

import pytest
import trustme

from onceproxy.upstream.sessions import EACH, LONGEST, MOST, Handshake, Kept, TlsContext

HOST, PORT = "a.example", 443
AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert(HOST)
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Clock:
    """The machine's clock, put forward by ``later`` seconds."""

    later = 0.0

    def __call__(self) -> float:
        return time.time() + self.later


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ours(clock: Clock) -> TlsContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return TlsContext(context, clock)


def server(version: ssl.TLSVersion, leaf: trustme.LeafCert = LEAF) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    context.maximum_version = version
    return context


class Call:
    """A handshake with ``far``, and an answer in it."""

    def __init__(self, ours: TlsContext, far: ssl.SSLContext) -> None:
        to_far, self._to_us = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._handshake = Handshake(ours, PORT)
        self._us = self._handshake.wrap_bio(self._to_us, to_far, server_hostname=HOST)
        self._far = far.wrap_bio(to_far, self._to_us, server_side=True)

    def answered(self, *, broken: bool = False) -> bool:
        """Do it, and return whether a session was resumed. ``broken``: no TLS comes behind the answer."""
        for end in (self._us, self._far, self._us, self._far, self._us):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
        self._far.write(b"an answer")
        assert self._us.read() == b"an answer"
        if broken:
            self._to_us.write(b"no record of TLS")
            with pytest.raises(ssl.SSLError, match="WRONG_VERSION"):
                self._us.read()
        self._handshake.keep()
        return bool(self._us.session_reused)


def call(ours: TlsContext, far: ssl.SSLContext) -> bool:
    return Call(ours, far).answered()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_certificate_is_asked_for_again_after_a_while(
    ours: TlsContext, clock: Clock, version: ssl.TLSVersion
) -> None:
    far, resumed = server(version), []

    for clock.later in (0.0, LONGEST * 0.6, LONGEST * 0.9, LONGEST + 1, LONGEST + 2):
        resumed.append(call(ours, far))

    # Sessions that came of resumed connections count from the handshake that verified.
    assert resumed == [False, True, True, False, True]


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_resumed_when_the_certificate_has_expired(
    ours: TlsContext, clock: Clock, version: ssl.TLSVersion
) -> None:
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10)
    far = server(version, AUTHORITY.issue_cert(HOST, not_after=ends))
    call(ours, far)
    clock.later = 601.0

    assert ours.take((HOST, PORT)) is None


def test_a_session_of_tls_1_3_is_offered_once(ours: TlsContext) -> None:
    far = server(ssl.TLSVersion.TLSv1_3)
    call(ours, far)
    at_once = [Call(ours, far), Call(ours, far)]

    assert [one.answered() for one in at_once] == [True, False]
    assert [call(ours, far), call(ours, far)] == [True, True]


def test_a_session_of_tls_1_2_is_offered_to_all(ours: TlsContext) -> None:
    far = server(ssl.TLSVersion.TLSv1_2)
    call(ours, far)
    at_once = [Call(ours, far), Call(ours, far)]

    assert [one.answered() for one in at_once] == [True, True]


def test_the_session_of_a_connection_without_an_answer_is_not_kept(ours: TlsContext) -> None:
    Call(ours, server(ssl.TLSVersion.TLSv1_2))

    assert ours.take((HOST, PORT)) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_the_session_of_a_connection_that_failed_is_not_kept(
    ours: TlsContext, version: ssl.TLSVersion
) -> None:
    Call(ours, server(version)).answered(broken=True)

    assert ours.take((HOST, PORT)) is None


def test_an_upstream_that_gives_no_new_session_is_not_offered_the_old_one(ours: TlsContext) -> None:
    far = server(ssl.TLSVersion.TLSv1_3)
    assert not call(ours, far)
    far.num_tickets = 0

    assert [call(ours, far), call(ours, far)] == [True, False]


def test_an_upstream_that_keeps_no_sessions_is_offered_none(ours: TlsContext) -> None:
    far = server(ssl.TLSVersion.TLSv1_3)
    far.num_tickets = 0
    call(ours, far)

    assert ours.take((HOST, PORT)) is None


def test_an_upstream_that_gives_no_sessions_is_asked_again_after_a_while(
    ours: TlsContext, clock: Clock
) -> None:
    far, wants = server(ssl.TLSVersion.TLSv1_3), []
    far.num_tickets = 0
    for clock.later in (0.0, LONGEST - 1, LONGEST + 1):
        wants.append(ours.wants((HOST, PORT)))
        call(ours, far)

    assert wants == [True, False, True]


def test_so_many_that_give_no_sessions_are_known(ours: TlsContext) -> None:
    for number in range(MOST + 1):
        ours.gives_none((f"{number}.example", PORT))

    assert [ours.wants((f"{number}.example", PORT)) for number in (0, 1, MOST)] == [True, False, False]


def test_a_handshake_that_failed_is_done_anew_without_a_session(ours: TlsContext) -> None:
    far = server(ssl.TLSVersion.TLSv1_3)
    call(ours, far)
    handshake = Handshake(ours, PORT)
    handshake.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)
    assert handshake.failed()
    call(ours, far)  # another connection leaves one meanwhile

    handshake.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)

    assert ours.take((HOST, PORT)) is not None
    assert not handshake.failed()


@dataclass
class Session:
    """One whose lifetime the upstream names as it likes."""

    ticket_lifetime_hint: int
    has_ticket: bool = True
    id: bytes = b"1"
    timeout: int = 900
    time: float = 0.0


@dataclass
class Made:
    """A connection as ``ssl.SSLObject`` is one, and the context that makes it."""

    session: Session
    spoken: str
    session_reused: bool = False

    def wrap_bio(self, *_: object, **__: object) -> Made:
        return self

    def version(self) -> str:
        return self.spoken

    def getpeercert(self, binary_form: bool) -> bytes:
        return ssl.PEM_cert_to_DER_cert(LEAF.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize(
    ("version", "named", "seconds"),
    [
        ("TLSv1.3", 60, 60),
        ("TLSv1.3", 0, 0),
        ("TLSv1.2", 60, 60),
        ("TLSv1.2", 0, 900),
        ("TLSv1.3", 86400, 3600),
    ],
)
def test_a_session_lives_as_long_as_its_upstream_says(version: str, named: int, seconds: float) -> None:
    now = 0.0
    ours = TlsContext(cast(ssl.SSLContext, Made(Session(named), version)), lambda: now)
    found = []
    for later in (seconds - 1, seconds):
        now = 0.0
        ours.forget((HOST, PORT))
        handshake = Handshake(ours, PORT)
        handshake.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)
        handshake.keep()
        now = max(later, 0.0)
        found.append(ours.take((HOST, PORT)) is not None)

    assert found == [seconds > 0, False]


def test_a_session_that_nothing_names_is_not_kept() -> None:
    made = Made(Session(0, has_ticket=False, id=b""), "TLSv1.2")
    ours = TlsContext(cast(ssl.SSLContext, made), lambda: 0.0)
    handshake = Handshake(ours, PORT)
    handshake.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)
    handshake.keep()

    assert ours.take((HOST, PORT)) is None


def kept(number: int = 0) -> Kept:
    return Kept(cast(ssl.SSLSession, number), once=True, verified_until=1e12, ends=1e12)


def test_of_one_upstream_so_many_are_kept(ours: TlsContext) -> None:
    far = server(ssl.TLSVersion.TLSv1_3)
    for one in [Call(ours, far) for _ in range(EACH + 1)]:
        one.answered()

    found = [ours.take((HOST, PORT)) for _ in range(EACH + 1)]

    assert [one is None for one in found] == [False] * EACH + [True]


def test_of_all_those_of_the_upstream_that_was_called_last_stay(ours: TlsContext) -> None:
    for number in range(MOST):
        ours.keep((f"{number}.example", PORT), kept(number))
    assert ours.take(("0.example", PORT)) is not None
    ours.keep(("0.example", PORT), kept())

    ours.keep(("more.example", PORT), kept())

    assert ours.take(("1.example", PORT)) is None
    for name in ("0", "2", str(MOST - 1), "more"):
        assert ours.take((f"{name}.example", PORT)) is not None


def test_what_is_forgotten_makes_room(ours: TlsContext) -> None:
    for _ in range(3):
        for number in range(MOST):
            ours.keep((f"{number}.example", PORT), kept(number))
        for number in range(1, MOST):
            ours.forget((f"{number}.example", PORT))
        assert ours.take(("0.example", PORT)) is not None


def test_upstreams_are_called_by_their_names(ours: TlsContext) -> None:
    with pytest.raises(RuntimeError, match="by their names"):
        Handshake(ours, PORT).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
