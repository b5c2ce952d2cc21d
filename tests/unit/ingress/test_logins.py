"""Checks of passwords are few at a time, shared and remembered."""

from __future__ import annotations

import asyncio
import base64
import threading
from dataclasses import dataclass, field

import pytest

from onceproxy.core.passwords import Cost, PasswordHash, PlainPassword, Secret
from onceproxy.core.users import Login, Users
from onceproxy.ingress import logins as module
from onceproxy.ingress.incoming import Refused
from onceproxy.ingress.logins import CHECKS, Logins, Unreadable, credentials
from upstreams import PATIENCE

HASHED = PasswordHash.of("right", b"0123456789abcdef", Cost(14, 8, 1))


@dataclass(frozen=True)
class SlowUsers(Users):
    """Users whose checks are counted, and wait for ``open``."""

    checked: list[tuple[str, str]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def check(self, name: str, password: str) -> Login | None:
        self.checked.append((name, password))
        assert self.open.wait(PATIENCE)
        return Users.check(self, name, password)

    async def has_begun(self, count: int) -> None:
        """Wait until ``count`` checks have begun."""
        async with asyncio.timeout(PATIENCE):
            while len(self.checked) < count:
                await asyncio.sleep(0.001)


@pytest.fixture
def users() -> SlowUsers:
    return SlowUsers({"ann": HASHED, "bob": PlainPassword("right")}, b"key")


async def test_a_user_pays_once(users: SlowUsers) -> None:
    logins = Logins(users)
    users.open.set()

    for _ in range(3):
        assert await logins.login("ann", "right") == Login("ann", HASHED)
        assert await logins.login("ann", "wrong") is None
        assert await logins.login("eve", "right") is None

    assert users.checked == [("ann", "right"), ("ann", "wrong"), ("eve", "right")]


async def test_many_that_come_at_once_with_the_same_share_a_check(users: SlowUsers) -> None:
    logins = Logins(users)
    coming = [asyncio.ensure_future(logins.login("ann", "right")) for _ in range(50)]
    await users.has_begun(1)
    coming[0].cancel()  # the one that it was begun for leaves
    users.open.set()

    found = await asyncio.gather(*coming, return_exceptions=True)

    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [Login("ann", HASHED)] * 49
    assert users.checked == [("ann", "right")]


async def test_few_checks_run_at_a_time_and_few_wait(
    users: SlowUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 5)
    logins = Logins(users)
    coming = [asyncio.ensure_future(logins.login("ann", f"guess {n}")) for n in range(5)]
    await users.has_begun(CHECKS)
    with pytest.raises(Refused) as caught:
        await logins.login("ann", "one more")
    assert len(users.checked) == CHECKS
    users.open.set()

    assert await asyncio.gather(*coming) == [None] * 5
    assert (caught.value.problem.type.slug, caught.value.problem.retry_after) == ("overloaded", 1)
    assert await logins.login("ann", "right") == Login("ann", HASHED), "places are given back"


async def test_who_is_known_does_not_wait_behind_guesses(users: SlowUsers) -> None:
    logins = Logins(users)
    users.open.set()
    await logins.login("ann", "right")
    users.open.clear()
    guesses = [asyncio.ensure_future(logins.login("ann", f"guess {n}")) for n in range(10)]
    await users.has_begun(1 + CHECKS)

    assert await logins.login("ann", "right") == Login("ann", HASHED)

    users.open.set()
    await asyncio.gather(*guesses)


async def test_what_is_remembered_is_bounded(users: SlowUsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    logins = Logins(users)
    users.open.set()
    for guess in ("1", "2", "1", "3", "1", "2"):
        await logins.login("bob", guess)

    assert [password for _, password in users.checked] == ["1", "2", "3", "2"]


async def test_other_users_do_not_take_over_what_does_not_hold(users: SlowUsers) -> None:
    logins = Logins(users)
    users.open.set()
    for name in ("ann", "bob"):
        assert await logins.login(name, "right") is not None
    assert await logins.login("eve", "right") is None
    changed: dict[str, Secret] = {"ann": HASHED, "bob": PlainPassword("new"), "eve": PlainPassword("right")}
    later = Logins(SlowUsers(changed, b"key", users.checked, users.open), logins)
    users.checked.clear()

    assert await later.login("ann", "right") is not None
    assert users.checked == [], "she has not changed"
    assert await later.login("bob", "right") is None
    assert await later.login("bob", "new") is not None
    assert await later.login("eve", "right") is not None


def basic(text: str | bytes, scheme: str = "Basic") -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return scheme.encode() + b" " + base64.b64encode(data)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (basic("ann:right"), ("ann", "right")),
        (basic("ann:ri:ght", "bASIC"), ("ann", "ri:ght")),
        (basic("ann"), ("ann", "")),
        (basic(":right"), ("", "right")),
        (basic("ann:pässwörd"), ("ann", "pässwörd")),
    ],
)
def test_basic_is_read(value: bytes, found: tuple[str, str]) -> None:
    assert credentials(((b"Proxy-Authorization", value),)) == found


@pytest.mark.parametrize(
    "values",
    [
        (basic("ann:right"), basic("ann:right")),
        (basic("ann:right", "Bearer"),),
        (b"Basic ann:right",),
        (b"Basic !",),
        (b"",),
        (basic("ann:p\xe4ss".encode("latin-1")),),
        (basic("ann\0:x"),),
        (basic("ann:x\n"),),
    ],
)
def test_anything_else_is_not(values: tuple[bytes, ...]) -> None:
    with pytest.raises(Unreadable):
        credentials(tuple((b"proxy-authorization", value) for value in values))
