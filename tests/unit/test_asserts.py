"""``python -O`` takes all asserts away: ours tell the type checker what is known, and protect nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import onceproxy

SOURCES = sorted(Path(onceproxy.__file__).parent.rglob("*.py"))


def narrows(assertion: ast.Assert) -> bool:
    """Whether it is ``assert NAME is not None`` or ``assert isinstance(NAME, …)``, and no more than that."""
    match assertion:
        case ast.Assert(ast.Compare(value, [ast.IsNot()], [ast.Constant(None)]), None):
            pass
        case ast.Assert(ast.Call(ast.Name("isinstance"), [value, _], []), None):
            pass
        case _:
            return False
    while isinstance(value, ast.Attribute):
        value = value.value
    return isinstance(value, ast.Name)  # nothing is called, and so nothing done


def others_in(source: str) -> list[int]:
    """The lines with anything that ``-O`` would change the meaning of."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Assert) and not narrows(node))
        or (isinstance(node, ast.Name) and node.id == "__debug__")
    ]


def test_asserts_narrow_types_and_nothing_else() -> None:
    assert len(SOURCES) > 200
    found = {str(path): lines for path in SOURCES if (lines := others_in(path.read_text("utf-8")))}
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "assert allowed",
        "assert user == 'ann'",
        "assert row is None",
        "assert x is not None and x > 1",
        "assert check() is not None",
        "assert (x := check()) is not None",
        "assert isinstance(read(), int)",
        "assert user is not None, 'who is it?'",
        "if __debug__: check()",
    ],
)
def test_what_checks_is_found(source: str) -> None:
    assert others_in(source) == [1]
