"""SQL files: each statement described, each hot one tied to one receipt, and no SQL but theirs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import asyncpg
import pytest

from onceproxy import store
from onceproxy.store.statements import Statement, all_statements, parse, sql

SOURCES = sorted(Path(*store.__path__).glob("*.py"))
ASKING = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "prepare", "cursor"}
FROM_FILES = re.compile(r"sql\([\w\"']+\)|migration\.text")  # by its name; values are bound
HOT = {"claims", "settlements", "reading", "parts"}
EVERY = list(all_statements().values())


@pytest.mark.parametrize("statement", EVERY, ids=lambda statement: statement.name)
async def test_the_server_understands_it(database: asyncpg.Connection, statement: Statement) -> None:
    if not statement.text.startswith(("CREATE", "BEGIN")):
        await database.prepare(statement.text)


@pytest.mark.parametrize(
    "statement", [one for one in EVERY if one.file in HOT], ids=lambda statement: statement.name
)
async def test_a_hot_statement_finds_its_row_by_request_id(
    database: asyncpg.Connection, statement: Statement
) -> None:
    one, several = ("request_id = $1::bytea", "$1::bytea, "), ("= ANY ($1::bytea[])", "$1::bytea[], ")
    by_request_id = (*one, *several)
    assert any(words in statement.text for words in by_request_id)

    prepared = await database.prepare(statement.text)
    parameters = [_neutral(parameter.name) for parameter in prepared.get_parameters()]
    async with database.transaction():
        await database.execute("SET LOCAL enable_seqscan = off")
        plan = await database.fetch(f"EXPLAIN {statement.text}", *parameters)
    for table in ("receipts", "events", "parts"):
        assert f"Seq Scan on {table}" not in "\n".join(row[0] for row in plan)


def _neutral(kind: str) -> object:
    values: dict[str, object] = {"bytea": bytes(32), "uuid": "00000000-0000-0000-0000-000000000000"}
    return values.get(kind)


def test_every_statement_says_what_it_does() -> None:
    assert all(len(statement.description) > 10 for statement in EVERY)
    assert sql("claim").startswith("WITH owner")


def test_a_statement_without_a_description_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs a description"):
        parse("\n-- name: bare\nSELECT 1;", "some")


def test_no_statement_leaves_anything_behind_in_its_session() -> None:
    # Behind a pooler in transaction mode the next one of ours runs in somebody else's session.
    leaves = re.compile(
        r"advisory_lock\(|^(SET|LISTEN|PREPARE)\b|\bTEMP\b|set_config\([^)]*false\)", re.MULTILINE
    )

    # Only where there is no pooler, as test_pgbouncer.py shows.
    assert [statement.name for statement in EVERY if leaves.search(statement.text)] == ["limit_lock_waits"]


def asked_in(source: str) -> list[str]:
    """What is said to the database: the first argument of each call that asks it."""
    return [
        ast.unparse(node.args[0])
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ASKING
    ]


def test_nothing_is_said_to_the_database_but_what_the_files_hold() -> None:
    asked = [words for path in SOURCES for words in asked_in(path.read_text("utf-8"))]

    assert len(asked) > 15
    assert [words for words in asked if not FROM_FILES.fullmatch(words)] == []


@pytest.mark.parametrize(
    "source",
    ["c.execute(f'SELECT {x}')", "c.fetch('SELECT ' + x)", "c.fetchrow(sql('read') + x)", "c.fetchval(x)"],
)
def test_what_is_put_together_is_found(source: str) -> None:
    [words] = asked_in(source)

    assert not FROM_FILES.fullmatch(words)
