"""There are words for all that can be, and each tells what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import onceproxy.store
from onceproxy.admin.page.words import PHASES, STATES, STEPS, account, age, ago, doubt, duration, size, step
from onceproxy.core.attempts import NOTHING_SENT, WirePhase
from onceproxy.core.receipts import IdentityKind, Receipt, RequestId, Source
from onceproxy.core.states import State

MIGRATIONS = Path(onceproxy.store.__path__[0]) / "migrations"


def a_receipt(state: State, **more: object) -> Receipt:
    values: dict[str, object] = {
        "request_id": RequestId(bytes(32)),
        "state": state,
        "attempt": 1,
        "kind": IdentityKind.KEY,
        "fingerprint": bytes(32),
        "credential": b"",
        "route": "charges",
        "method": "POST",
        "url": "https://api.example.com/v1/charges",
        "age": 1.0,
        "lease_left": 10.0,
        "expires_in": 3600.0,
    }
    return Receipt(**{**values, **more})  # type: ignore[arg-type]  # each is of the field's type


def test_each_event_that_the_database_takes_has_words() -> None:
    texts = "".join(path.read_text() for path in sorted(MIGRATIONS.glob("*.sql")))
    told = texts.rpartition("'{claimed,completed,")[2].partition("}")[0]  # the last list of them
    kinds = {"claimed", "completed", *re.findall("[a-z_-]+", told)}

    assert kinds >= {"executed-twice", "purged", "contradicted"}
    assert kinds == STEPS.keys()


def test_each_state_and_phase_has_a_word() -> None:
    assert STATES.keys() == set(State)
    assert PHASES.keys() == set(WirePhase)


@pytest.mark.parametrize("state", [state for state in State if state is not State.ABSENT])
def test_each_state_says_what_to_do(state: State) -> None:
    told = account(a_receipt(state))

    assert all((told.headline, told.meaning, told.next_step))


def test_a_doubt_is_told_from_how_far_it_came() -> None:
    phases = [phase for phase in WirePhase if phase not in NOTHING_SENT]
    words = {doubt(phase.value, None) for phase in phases}

    assert len(words) == len(phases)
    assert doubt("sent", "owner-lost") == doubt(None, None)
    assert "may have arrived" in doubt("a-phase-of-a-later-version", None)


def test_a_claim_whose_owner_is_gone_is_a_doubt() -> None:
    gone = account(a_receipt(State.CLAIMED, lease_left=0.0))

    assert gone.headline == account(a_receipt(State.IN_DOUBT)).headline
    assert gone.headline != account(a_receipt(State.CLAIMED)).headline


def test_it_is_told_whose_the_answer_is() -> None:
    assert "person" in account(a_receipt(State.COMPLETED, source=Source.OPERATOR)).meaning
    assert "probe" in account(a_receipt(State.COMPLETED, source=Source.PROBE)).meaning


def test_who_said_so_is_named() -> None:
    assert step("confirmed", 1, "operator") == "A person said that it happened"
    assert step("refuted", 1, "probe") == "A probe said that it did not happen"
    assert step("claimed", 3, None) == "Attempt 3 began"
    assert step("of-a-later-version", 1, None) == "Something that a later version knows"


def test_times_and_sizes_are_told_in_the_unit_that_fits() -> None:
    assert [duration(s) for s in (-1, 0.012, 3.25, 42, 150, 7200, 200_000)] == [
        *("0 ms", "12 ms", "3.2 s", "42 s", "2 min", "2 h", "2 d")
    ]
    assert [ago(s) for s in (-5, 0.5, 3.7, 61)] == ["just now", "just now", "3 s ago", "1 min ago"]
    assert age(-3) == "0 s"
    assert [size(n) for n in (0, 1, 1023, 1536, 5 << 20, 3 << 30)] == [
        *("0 bytes", "1 byte", "1023 bytes", "1.5 KiB", "5.0 MiB", "3.0 GiB")
    ]
