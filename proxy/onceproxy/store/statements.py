"""SQL by name: reads ``sql/*.sql``, where each statement has a name and a description.

A file looks like this::

    -- name: find_receipt
    -- What it does, its parameters and what it returns.
    SELECT …;

The text is used as it is written; values only ever travel as parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_NAME = "-- name: "


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its name, what it does in words, its SQL, and the file (without ``.sql``) it is in."""

    name: str
    description: str
    text: str
    file: str


def parse(source: str, file: str) -> list[Statement]:
    """Read the statements of one file's text.

    Raises:
        ValueError: a statement has no description or no SQL.
    """
    statements = []
    for part in source.split("\n" + _NAME)[1:]:
        name, _, rest = part.partition("\n")
        lines = rest.splitlines()
        described = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
        description = " ".join(line.removeprefix("--").strip() for line in lines[:described])
        text = "\n".join(lines[described:]).strip().removesuffix(";")
        if not description or not text:
            raise ValueError(f"{file}.sql: {name} needs a description and a statement")
        statements.append(Statement(name.strip(), description, text, file))
    return statements


@cache
def all_statements() -> Mapping[str, Statement]:
    """Return every statement of the package by its name.

    Raises:
        ValueError: two statements have the same name.
    """
    found: dict[str, Statement] = {}
    for entry in sorted(files(__package__).joinpath("sql").iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".sql"):
            continue
        for statement in parse("\n" + entry.read_text("utf-8"), entry.name.removesuffix(".sql")):
            if statement.name in found:
                raise ValueError(f"two statements are called {statement.name}")
            found[statement.name] = statement
    return MappingProxyType(found)


def sql(name: str) -> str:
    """Return the text of the statement ``name``.

    Raises:
        KeyError: there is none of that name.
    """
    return all_statements()[name].text
