"""The table of faults: all of them are there, and each names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| (F\d+) \| (.+) \| (.+) \| (.+) \|$",
    (ROOT / "docs" / "guarantees.md").read_text("utf-8"),
    re.MULTILINE,
)
TESTS = [(row[0], test) for row in ROWS for test in re.findall(r"`([^`]+)`", row[3])]


@cache
def named_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_all_faults_are_there_in_order() -> None:
    assert [row[0] for row in ROWS] == [f"F{number}" for number in range(1, 46)]
    assert {fault for fault, _ in TESTS} == {row[0] for row in ROWS}


@pytest.mark.parametrize(("fault", "test"), TESTS)
def test_what_shows_it_exists(fault: str, test: str) -> None:
    path, name = test.split("::")
    assert name in named_in(path), fault
