"""The tables that promise something: all their rows are there, and each names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TABLES = {
    "guarantees.md": [f"F{n}" for n in range(1, 51)],
    "conformance.md": [f"B{n}" for n in range(1, 51)],
    "threats.md": [f"S{n}" for n in range(1, 46)],
    "functions.md": [f"C{n}" for n in range(1, 16)],
}
"""The documents, and the rows that each must have. A row's last cell names the tests."""


@cache
def rows_of(document: str) -> tuple[tuple[str, str], ...]:
    """Return each row's name and its last cell."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    letter = TABLES[document][0][0]
    return tuple(re.findall(rf"^\| ({letter}\d+) \| .+ \| (.+) \|$", text, re.MULTILINE))


@cache
def named_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


TESTS = [
    (document, row, test)
    for document in TABLES
    for row, tests in rows_of(document)
    for test in re.findall(r"`([^`]+)`", tests)
]


@pytest.mark.parametrize("document", TABLES)
def test_all_rows_are_there_in_order_and_name_tests(document: str) -> None:
    assert [row for row, _ in rows_of(document)] == TABLES[document]
    assert {row for where, row, _ in TESTS if where == document} == set(TABLES[document])


@pytest.mark.parametrize(("document", "row", "test"), TESTS)
def test_what_shows_it_exists(document: str, row: str, test: str) -> None:
    path, name = test.split("::")
    assert name in named_in(path), row
