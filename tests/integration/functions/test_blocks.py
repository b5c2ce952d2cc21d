"""Boundaries drawn by hand: who forgets to ask, or to say what came of it, is told at the first try."""

from __future__ import annotations

from typing import Any

import pytest

from onceproxy import Guard, OutcomeUnknown, ResultNotSet, current_action
from onceproxy.functions.actions import GuardedAction


def done(guard: Guard, key: str) -> GuardedAction[Any]:
    """An action that was done before."""
    with guard.action("block", key) as action:
        if action.fresh:
            action.result = "first"
    return guard.action("block", key)


def test_who_does_not_ask_is_told_at_the_first_try_and_nothing_is_lost(guard: Guard, key: str) -> None:
    action = guard.action("block", key)

    def forget() -> None:
        with action:
            action.result = "first"

    with pytest.raises(ResultNotSet, match=r"if action\.fresh") as caught:
        forget()
    assert caught.value.executed
    assert action.result == "first"
    with done(guard, key) as again:
        assert again.replayed
    assert again.result == "first"


def test_who_does_not_ask_is_told_for_a_copy_as_well(guard: Guard, key: str) -> None:
    with pytest.raises(ResultNotSet, match=r"if action\.fresh"), done(guard, key):
        pass


def test_a_result_can_not_be_set_again(guard: Guard, key: str) -> None:
    action = done(guard, key)

    def set_again() -> None:
        with action:
            action.result = "second"

    with pytest.raises(ResultNotSet, match="done before"):
        set_again()
    assert action.result == "first"


def test_who_does_not_say_what_came_of_it_leaves_a_doubt(guard: Guard, key: str) -> None:
    action = guard.action("block", key)

    def say_nothing() -> None:
        with action:
            assert action.fresh

    with pytest.raises(ResultNotSet, match="in doubt"):
        say_nothing()
    with pytest.raises(ResultNotSet, match="not set yet"):
        _ = action.result
    with pytest.raises(OutcomeUnknown, match="ended without a result"):
        done(guard, key)


def test_an_exception_of_a_copys_block_changes_nothing(guard: Guard, key: str) -> None:
    action = done(guard, key)

    def fail() -> None:
        with action:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with done(guard, key) as again:
        assert (again.fresh, again.result) == (False, "first")


def test_none_is_a_result(guard: Guard, key: str) -> None:
    for fresh in (True, False):
        with guard.action("block", key) as action:
            assert action.fresh is fresh
            if action.fresh:
                action.result = None
        assert action.result is None


def test_a_block_is_used_once_and_only_as_one(guard: Guard, key: str) -> None:
    action = guard.action("block", key)
    with pytest.raises(RuntimeError, match="in a with block"):
        _ = action.fresh
    with action:
        assert action.fresh
        action.result = 1
    with pytest.raises(RuntimeError, match="used once"):
        action.__enter__()


def test_inside_a_block_it_is_the_current_action(guard: Guard, key: str) -> None:
    with guard.action("block", key) as action:
        assert action.fresh
        assert current_action().request_id == action.request_id
        action.result = 1
    with pytest.raises(LookupError):
        current_action()


async def test_blocks_one_in_another(guard: Guard, key: str) -> None:
    async with guard.action("outer", key) as outer:
        assert outer.fresh
        async with guard.action("inner", key) as inner:
            assert inner.fresh
            assert current_action().name == "inner"
            inner.result = 1
        assert current_action().name == "outer"
        outer.result = inner.result + 1
    assert outer.result == 2
