"""What is made of a function that is to be a tool: its parameters for a framework, and its scope."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest

from onceproxy.agents.calling import scope_of, with_parameters


@dataclass
class Context:
    session: str


def place(item: int, note: Annotated[str, "why"] = "none") -> str:
    """Place an order."""
    return f"{item} {note}"


def test_a_tool_looks_like_its_function_and_has_more_parameters() -> None:
    def run(*args: object, **arguments: object) -> None: ...

    made = with_parameters(
        run,
        place,
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Context),
        inspect.Parameter("call", inspect.Parameter.KEYWORD_ONLY, annotation=str),
    )

    assert (made.__name__, made.__doc__) == ("place", "Place an order.")
    parameters = inspect.signature(made).parameters
    assert list(parameters) == ["ctx", "item", "note", "call"]
    assert parameters["note"].annotation == Annotated[str, "why"]
    assert parameters["note"].default == "none"
    assert inspect.get_annotations(made)["ctx"] is Context
    assert inspect.signature(made).return_annotation in (str, "str")


def test_whose_calls_they_are() -> None:
    assert scope_of(lambda context: context.session, Context("s1"), "other") == "s1"
    assert scope_of("fixed", Context("s1"), None) == "fixed"
    assert scope_of(None, Context("s1"), "thread") == "thread"
    for wrong in (None, ""):
        with pytest.raises(ValueError, match="whose calls are these"):
            scope_of(wrong, Context("s1"), None)
