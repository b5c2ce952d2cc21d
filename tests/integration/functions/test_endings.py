"""How guarded calls end: what results and exceptions mean, and what copies get of them."""

from __future__ import annotations

from typing import Any

import pytest

from onceproxy import (
    Guard,
    OutcomeUnknown,
    ResultNotKept,
    ResultUnreadable,
)
from tills import Charge, Declined, Till


@pytest.mark.parametrize("how", ["once", "execute", "action", "sync once", "execute_sync", "sync action"])
@pytest.mark.parametrize("ending", ["returns", "released", "final", "unknown"])
async def test_each_way_follows_the_same_rules(
    guard: Guard, till: Till, key: str, how: str, ending: str
) -> None:
    options: Any = {"released_on": ConnectionRefusedError, "final_on": (Declined,), "wait": 0}
    name = f"{how} {ending}"

    async def call() -> Any:
        if how == "once":
            return await guard.once(key="order", name=name, returns=Any, **options)(till.act_later)(key)
        if how == "execute":
            return await guard.execute(name, key, lambda: till.act_later(key), **options)
        if how == "sync once":
            return guard.once(key="order", name=name, returns=Any, **options)(till.act)(key)
        if how == "execute_sync":
            return guard.execute_sync(name, key, lambda: till.act(key), **options)
        if how == "action":
            async with guard.action(name, key, **options) as action:
                if action.fresh:
                    action.result = await till.act_later(key)
            return action.result
        with guard.action(name, key, **options) as action:
            if action.fresh:
                action.result = till.act(key)
        return action.result

    till.next = {
        "returns": {"id": 1},
        "released": ConnectionRefusedError("nobody there"),
        "final": Declined("no funds", 3),
        "unknown": ConnectionResetError("gone"),
    }[ending]
    told = []
    for _ in range(2):
        try:
            told.append(await call())
        except (OSError, Declined, OutcomeUnknown) as error:
            told.append((type(error), error.args[-1] if error.args else None))
    first, second = told
    if ending == "returns":
        assert (first, second, len(till.calls)) == ({"id": 1}, {"id": 1}, 1)
    elif ending == "released":
        assert first == second == (ConnectionRefusedError, "nobody there")
        assert len(till.calls) == 2
        till.next = "now"
        assert (await call(), await call(), len(till.calls)) == ("now", "now", 3)
    elif ending == "final":
        assert (first, second, len(till.calls)) == ((Declined, 3), (Declined, 3), 1)
    else:
        assert first == (ConnectionResetError, "gone")
        assert second[0] is OutcomeUnknown
        assert "ConnectionResetError: gone" in second[1]
        assert len(till.calls) == 1


def test_a_result_that_can_not_be_encoded_is_not_kept(
    guard: Guard, till: Till, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    till.next = thing = object()
    act = guard.once(key="order", name="not-kept", returns=Any)(till.act)
    assert act(key) is thing
    assert "result-not-kept" in caplog.text
    for _ in range(2):
        with pytest.raises(ResultNotKept, match="it happened"):
            act(key)
    assert len(till.calls) == 1


def test_a_final_exception_that_can_not_be_stored_is_not_called_again(
    guard: Guard, till: Till, key: str
) -> None:
    till.next = Declined(object())
    act = guard.once(key="order", name="final-not-kept", returns=Any, final_on=Declined)(till.act)
    with pytest.raises(Declined):
        act(key)
    with pytest.raises(ResultNotKept, match="final exception"):
        act(key)
    assert len(till.calls) == 1


def test_a_result_of_another_type_is_not_guessed_at(guard: Guard, till: Till, key: str) -> None:
    till.next = [1]
    assert guard.once(key="order", name="retyped", returns=list[int])(till.act)(key) == [1]
    with pytest.raises(ResultUnreadable, match="can't be read"):
        guard.once(key="order", name="retyped", returns=Charge)(till.act)(key)
    assert len(till.calls) == 1


class Upper:
    """A codec of a user's own."""

    content_type = "text/x-upper"

    def encode(self, value: str) -> bytes:
        return value.upper().encode()

    def decode(self, data: bytes) -> str:
        return data.decode().lower()


def test_a_codec_of_ones_own(guard: Guard, till: Till, key: str) -> None:
    till.next = "word"
    act = guard.once(key="order", name="codec", returns=Upper())(till.act)
    assert (act(key), act(key), len(till.calls)) == ("word", "word", 1)
    with pytest.raises(ResultUnreadable, match="text/x-upper"):
        guard.once(key="order", name="codec", returns=Any)(till.act)(key)
