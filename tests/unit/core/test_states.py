"""The state machine: the table, the rules that it must keep, and its picture in the docs."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from onceproxy.core.states import TRANSITIONS, Event, IllegalTransition, State, advance

DOCS = Path(__file__).parents[3] / "docs" / "states.md"


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_advance_follows_the_table_and_nothing_else(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert advance(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"{state} can't {event}") as caught:
            advance(state, event)
        assert (caught.value.state, caught.value.event) == (state, event)


def test_the_docs_show_the_table() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|$", DOCS.read_text("utf-8"), re.MULTILINE)

    assert rows[0] == ("state", "event", "next")
    assert [tuple(row) for row in rows[1:]] == [
        (state.value, event.value, after.value) for (state, event), after in TRANSITIONS.items()
    ]


@pytest.mark.parametrize("word", [*State, *Event])
def test_the_docs_explain_each_word(word: str) -> None:
    assert re.search(rf"^- \*\*{word}\*\*: ", DOCS.read_text("utf-8"), re.MULTILINE)


def test_a_claim_never_turns_free_by_the_passing_of_time() -> None:
    free = {state for state, event in TRANSITIONS if event is Event.CLAIM}

    assert free == {State.ABSENT, State.RELEASED, State.TOMBSTONE}
    for passing in (Event.LOSE, Event.EXPIRE, Event.FORGET):
        assert advance_or_stay(State.CLAIMED, passing) not in free
        assert advance_or_stay(State.IN_DOUBT, passing) not in free


def test_completed_changes_by_expiry_and_purge_alone() -> None:
    assert [event for state, event in TRANSITIONS if state is State.COMPLETED] == [Event.EXPIRE, Event.PURGE]


def test_nothing_unfinished_is_ever_removed() -> None:
    removed = {state for (state, _), after in TRANSITIONS.items() if after is State.ABSENT}

    assert removed.isdisjoint({State.CLAIMED, State.IN_DOUBT})


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State)


def advance_or_stay(state: State, event: Event) -> State:
    return TRANSITIONS.get((state, event), state)
