"""Who is a user; and that the time for saying no does not tell why."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from onceproxy.core.passwords import Cost, PasswordHash, PlainPassword
from onceproxy.core.users import EVERYBODY, Login, Users, check_user_name

LEAST = Cost(14, 8, 1)
HASHED = PasswordHash.of("right", b"0123456789abcdef", LEAST)
PLAIN = PlainPassword("right")
USERS = Users({"hashed": HASHED, "plain": PLAIN}, b"key")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The costs of the hashes that are made while a test runs."""
    costs: list[tuple[Any, ...]] = []
    scrypt = hashlib.scrypt

    def noting(password: bytes, **how: Any) -> bytes:
        costs.append((how["n"], how["r"], how["p"], how["dklen"]))
        return scrypt(password, **how)

    monkeypatch.setattr(hashlib, "scrypt", noting)
    return costs


def test_a_user_is_who_gives_its_password() -> None:
    assert USERS.check("hashed", "right") == Login("hashed", HASHED)
    assert USERS.check("plain", "right") == Login("plain", PLAIN)
    for name in ("hashed", "plain"):
        for password in ("wrong", "", "Right"):
            assert USERS.check(name, password) is None
    assert USERS.check("nobody", "right") is None
    assert USERS.check("", "right") is None


@pytest.mark.parametrize(
    ("name", "password"),
    [("hashed", "right"), ("hashed", "no"), ("plain", "right"), ("plain", "no"), ("nobody", "no"), ("", "")],
)
def test_each_check_makes_one_hash_of_the_same_cost(
    name: str, password: str, made: list[tuple[Any, ...]]
) -> None:
    USERS.check(name, password)

    assert made == [(1 << 14, 8, 1, 32)]


def test_a_name_that_is_no_users_costs_what_some_user_costs_and_always_the_same(
    made: list[tuple[Any, ...]],
) -> None:
    other = PasswordHash(Cost(14, 8, 2), HASHED.salt, HASHED.digest)
    users = Users({"a": HASHED, "b": other}, b"key")

    assert all(users.check(name, "x") is None for name in ("n1", "n1", "n2", "n3", "n4", "n5"))

    assert made[0] == made[1]
    assert {p for _, _, p, _ in made} == {1, 2}


def test_comparing_takes_as_long_wherever_the_first_difference_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    compare = hmac.compare_digest

    def noting(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noting)

    for name in ("hashed", "nobody", "plain"):
        USERS.check(name, "wrong")

    assert compared == [32, 32, 32, 5]


def test_a_login_holds_as_long_as_its_user_has_that_password() -> None:
    login = Login("hashed", HASHED)

    assert USERS.holds(login)
    assert not USERS.holds(Login("hashed"))
    assert not USERS.holds(Login(None))
    assert not Users({"plain": PLAIN}).holds(login)
    assert not Users({"hashed": PLAIN}).holds(login)
    assert EVERYBODY.holds(Login(None))


@pytest.mark.parametrize("name", ["", "a b", "a:b", "é", "a\n", "x" * 256])
def test_what_clients_could_send_in_two_ways_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="name must be"):
        check_user_name(name)
