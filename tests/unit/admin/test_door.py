"""Who is let into the admin listener."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onceproxy.admin.door import SESSION, Door, Knock, Refusal

TOKEN = "a token of 24 characters"
GET = Knock("GET", "127.0.0.1:8889")
POST = replace(GET, method="POST")
SHOWN = f"Bearer {TOKEN}"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def a_door(token: str | None = TOKEN, *hosts: str) -> Door:
    return Door(token, hosts, Clock())


@pytest.mark.parametrize(
    ("authorization", "refused"),
    [
        (SHOWN, None),
        (f"bearer  {TOKEN}", None),
        (None, Refusal.NO_TOKEN),
        ("", Refusal.NO_TOKEN),
        ("Bearer", Refusal.NO_TOKEN),
        ("Bearer ", Refusal.NO_TOKEN),
        (f"Bearer {TOKEN}x", Refusal.NO_TOKEN),
        (f"Bearer {TOKEN[:-1]}", Refusal.NO_TOKEN),
        (f"Basic {TOKEN}", Refusal.NO_TOKEN),
        (TOKEN, Refusal.NO_TOKEN),
        ("Bearer \udcff", Refusal.NO_TOKEN),
    ],
)
def test_a_program_shows_the_token(authorization: str | None, refused: Refusal | None) -> None:
    for knock in (GET, POST):
        assert a_door().refusal(replace(knock, authorization=authorization)) is refused


def test_without_a_token_nobody_is_asked() -> None:
    door = a_door(None)

    assert door.refusal(GET) is None
    assert door.refusal(POST) is None
    assert not door.is_token("")


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8889", True),
        ("localhost:8889", True),
        ("LOCALHOST", True),
        ("[::1]:8889", True),
        ("10.0.0.7:8889", True),
        ("proxy.internal:8889", True),
        ("a.ops.example", True),
        ("evil.example:8889", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("ops.example", False),
        ("evil@127.0.0.1", False),
        ("[127.0.0.1]", True),
        ("[evil.example]", False),
        ("127.0.0.1@evil.example", False),
        ("", False),
        ("[::1", False),
        ("lo\u0441alhost", False),
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_only_known_names_are_answered_lest_one_means_this_address_for_an_hour(
    host: str, known: bool, token: str | None
) -> None:
    door = a_door(token, "proxy.internal", "*.ops.example")

    refused = door.refusal(replace(GET, host=host, authorization=SHOWN))

    assert refused is (None if known else Refusal.HOST)


@pytest.mark.parametrize(
    ("origin", "site", "refused"),
    [
        (None, None, False),
        ("http://127.0.0.1:8889", "same-origin", False),
        ("https://127.0.0.1:8889", None, False),  # TLS is taken off before us
        ("http://127.0.0.1:8888", None, True),
        ("http://localhost:8889", None, True),
        ("http://evil.example", None, True),
        ("null", None, True),
        ("", None, True),
        (None, "cross-site", True),
        (None, "same-site", True),
        (None, "none", False),
        ("http://127.0.0.1:8889", "cross-site", True),
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_another_sites_page_changes_nothing(
    origin: str | None, site: str | None, refused: bool, token: str | None, method: str
) -> None:
    knock = Knock(method, "127.0.0.1:8889", origin, site, SHOWN)

    assert a_door(token).refusal(knock) is (Refusal.FOREIGN if refused else None)
    assert a_door(token).refusal(replace(knock, method="GET")) is None


def test_a_browser_has_a_session_and_proves_that_a_change_comes_from_a_page_of_ours() -> None:
    door = a_door()
    session = door.session()

    assert door.refusal(replace(GET, session=session)) is None
    assert door.refusal(replace(POST, session=session)) is Refusal.NO_PROOF
    assert door.refusal(replace(POST, session=session, proof=session)) is Refusal.NO_PROOF
    assert door.refusal(replace(POST, session=session, proof=door.proof(door.session()))) is Refusal.NO_PROOF
    assert door.refusal(replace(POST, session=session, proof=door.proof(session))) is None
    assert door.refusal(replace(POST, proof=door.proof(""))) is Refusal.NO_TOKEN
    assert TOKEN not in session


@pytest.mark.parametrize("session", [None, "", ".", "x", "9999999999.x.y", "\u00e9.\u00e9.\u00e9"])
def test_nobody_can_make_up_a_session(session: str | None) -> None:
    assert a_door().refusal(replace(GET, session=session)) is Refusal.NO_TOKEN


def test_a_session_can_not_be_changed_and_is_of_one_process() -> None:
    door, session = a_door(), a_door().session()
    until, random, signature = door.session().split(".")

    assert door.refusal(replace(GET, session=session)) is Refusal.NO_TOKEN
    later = f"{int(until) + 1}.{random}.{signature}"
    assert door.refusal(replace(GET, session=later)) is Refusal.NO_TOKEN
    assert door.refusal(replace(GET, session=door.proof(f"{until}.{random}"))) is Refusal.NO_TOKEN


def test_a_session_ends() -> None:
    clock = Clock()
    door = Door(TOKEN, (), clock)
    session = door.session()

    clock.now += SESSION - 1
    assert door.refusal(replace(GET, session=session)) is None
    clock.now += 1
    assert door.refusal(replace(GET, session=session)) is Refusal.NO_TOKEN
