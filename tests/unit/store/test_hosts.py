"""URLs of several servers."""

from __future__ import annotations

import pytest

from onceproxy.config.values import check_database
from onceproxy.store.connection import describe
from onceproxy.store.hosts import split_hosts

RW = "target_session_attrs=read-write"


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("postgresql://u:p@one/db", ["postgresql://u:p@one/db"]),
        ("postgresql:///db?host=/run", ["postgresql:///db?host=/run"]),
        (
            "postgresql://u:p%40@one,two:5433/db",
            [f"postgresql://u:p%40@one/db?{RW}", f"postgresql://u:p%40@two:5433/db?{RW}"],
        ),
        ("postgresql://one,two", [f"postgresql://one?{RW}", f"postgresql://two?{RW}"]),
        (
            "postgresql://one,[::1]:5433/db?sslmode=require",
            [f"postgresql://one/db?sslmode=require&{RW}", f"postgresql://[::1]:5433/db?sslmode=require&{RW}"],
        ),
        (
            "postgresql://one,two/db?target_session_attrs=any",
            [
                "postgresql://one/db?target_session_attrs=any",
                "postgresql://two/db?target_session_attrs=any",
            ],
        ),
    ],
)
def test_each_server_has_a_url_of_its_own_and_must_take_writes(url: str, servers: list[str]) -> None:
    assert list(split_hosts(url)) == servers
    assert check_database(url) == url


def test_words_for_several_servers() -> None:
    assert describe("postgresql://me:secret@one,two:5433/db") == "database db at one or two:5433"
    assert describe("postgresql://me:secret@one:x,two/db") == "the database"
