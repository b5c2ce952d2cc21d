"""Guarded calls: one execution whoever calls, and what makes two calls the same."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from onceproxy import (
    BadKey,
    Guard,
    InProgress,
    KeyReused,
    current_action,
)
from tills import Charge, Till


def test_a_copy_gets_the_stored_result(guard: Guard, key: str) -> None:
    calls = []

    @guard.once(key="order", name="charge")
    def charge(order: str) -> Charge:
        calls.append(order)
        return Charge("ch_1", 100)

    first, second = charge(key), charge(key)
    assert (first, second, calls) == (Charge("ch_1", 100), Charge("ch_1", 100), [key])
    assert first is not second


async def test_copies_of_one_loop_wait_for_the_one_at_work(guard: Guard, key: str) -> None:
    calls, go_on = [], asyncio.Event()

    @guard.once(key="order", name="charge-slowly")
    async def charge(order: str) -> Charge:
        calls.append(order)
        await go_on.wait()
        return Charge("ch_1", 100)

    copies = [asyncio.create_task(charge(key)) for _ in range(20)]
    async with asyncio.timeout(30):
        while not calls:
            await asyncio.sleep(0.01)
    go_on.set()
    assert await asyncio.gather(*copies) == [Charge("ch_1", 100)] * 20
    assert calls == [key]


def test_copies_of_many_threads_wait_for_the_one_at_work(guard: Guard, key: str) -> None:
    calls, began, go_on = [], threading.Event(), threading.Event()

    def charge() -> str:
        calls.append(1)
        began.set()
        assert go_on.wait(30)
        return threading.current_thread().name

    with ThreadPoolExecutor(8) as pool:
        copies = [pool.submit(guard.execute_sync, "thread", key, charge) for _ in range(8)]
        assert began.wait(30)
        go_on.set()
        names = {copy.result(30) for copy in copies}
    assert (len(names), len(calls)) == (1, 1)


async def test_a_function_runs_where_it_is_called(guard: Guard, key: str) -> None:
    here = (threading.get_ident(), id(asyncio.get_running_loop()))

    async def where() -> list[int]:
        return [threading.get_ident(), id(asyncio.get_running_loop())]

    assert tuple(await guard.execute("where", key, where)) == here
    assert guard.execute_sync("where-sync", key, threading.get_ident) == here[0]


async def test_a_copy_that_leaves_leaves_the_call_alone(guard: Guard, key: str) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> str:
        began.set()
        await go_on.wait()
        return "done"

    call = asyncio.create_task(guard.execute("leave", key, slowly))
    await began.wait()
    copy = asyncio.create_task(guard.execute("leave", key, slowly))
    await asyncio.sleep(0)
    copy.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copy
    go_on.set()
    assert await call == await guard.execute("leave", key, slowly) == "done"


async def test_an_object_that_is_called_can_be_guarded(guard: Guard, key: str) -> None:
    class Caller:
        calls = 0

        async def __call__(self, order: str) -> str:
            self.calls += 1
            return order

    caller = Caller()
    act = guard.once(key="order", name="object")(caller)
    assert (await act(key), await act(key), caller.calls) == (key, key, 1)


def test_other_arguments_under_the_same_key_are_refused(guard: Guard, till: Till, key: str) -> None:
    act = guard.once(key="order", name="reuse", returns=Any)(till.act)
    act(key, 1)
    with pytest.raises(KeyReused, match="other arguments") as caught:
        act(key, 2)
    assert till.calls == [(key, 1)]
    assert caught.value.request_id is not None
    guard.execute_sync("reuse-payload", key, lambda: None, payload={"amount": 1})
    with pytest.raises(KeyReused):
        guard.execute_sync("reuse-payload", key, lambda: None, payload={"amount": 2})


def test_without_a_key_the_arguments_are_the_identity(guard: Guard, till: Till, key: str) -> None:
    act = guard.once(name="by-arguments", returns=Any)(till.act)
    for amount in (1, 2, 1):
        act(key, amount)
    act(key)  # the default
    assert till.calls == [(key, 1), (key, 2)]


def test_what_is_excluded_makes_no_difference(guard: Guard, key: str) -> None:
    calls = []

    @guard.once(name="excluding", exclude="client")
    def send(order: str, client: object) -> None:
        calls.append(client)

    for _ in range(2):
        send(key, object())
    assert len(calls) == 1


def test_names_scopes_and_namespaces_keep_calls_apart(
    guard: Guard, till: Till, key: str, receipts_url: str, data_dir: Any
) -> None:
    def act() -> Any:
        return till.act(key)

    guard.execute_sync("apart", key, act)
    guard.execute_sync("apart too", key, act)
    guard.execute_sync("apart", key, act, scope="tenant-1")
    guard.execute_sync("apart", key, act, scope=("tenant", "1"))
    with Guard(receipts_url, data_dir=data_dir, scope="tenant-1") as other:
        other.execute_sync("apart", key, act)  # the same scope, said elsewhere
    with Guard(receipts_url, data_dir=data_dir, namespace="billing") as other:
        other.execute_sync("apart", key, act)
    assert len(till.calls) == 5


def test_a_scope_is_read_from_the_arguments(guard: Guard, key: str) -> None:
    calls = []

    @guard.once(key="order", scope="{user.tenant}", name="scoped", exclude="user")
    def act(order: str, user: dict[str, str]) -> None:
        calls.append(user["tenant"])

    for tenant in ("a", "b", "a"):
        act(key, {"tenant": tenant})
    assert calls == ["a", "b"]


def test_a_call_without_a_key_is_refused(guard: Guard, till: Till) -> None:
    act = guard.once(key="order", name="keyless", returns=Any)(till.act)
    for nothing in ("", None):
        with pytest.raises(BadKey):
            act(nothing)  # type: ignore[arg-type]  # that is what it is about
    assert till.calls == []


def test_an_argument_without_a_form_is_refused_before_anything_is_done(guard: Guard, till: Till) -> None:
    act = guard.once(name="formless", returns=Any)(till.act)
    with pytest.raises(TypeError, match="'order'"):
        act(object())  # type: ignore[arg-type]  # that is what it is about
    assert till.calls == []


def test_inside_a_call_it_is_known_which_one_it_is(guard: Guard, key: str) -> None:
    seen: list[Any] = []

    @guard.once(key="order", name="current", released_on=ConnectionRefusedError)
    def outer(order: str, fail: bool = False) -> None:
        call = current_action()
        seen.append((call.name, call.request_id, call.attempt, call.uuid.version))
        if len(seen) == 1:
            raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        outer(key)
    outer(key)
    (name, request_id, attempt, version), again = seen
    assert (name, attempt, version) == ("current", 1, 8)
    assert again == (name, request_id, 2, 8)
    with pytest.raises(LookupError):
        current_action()


def test_a_call_within_itself_does_not_wait_for_itself(guard: Guard, key: str) -> None:
    def inner() -> str:
        with pytest.raises(InProgress):
            guard.execute_sync("itself", key, inner, wait=3600)
        return "done"

    assert guard.execute_sync("itself", key, inner) == "done"


async def test_a_plain_call_in_an_event_loop_does_not_wait_for_a_task_of_it(guard: Guard, key: str) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> str:
        began.set()
        await go_on.wait()
        return "done"

    call = asyncio.create_task(guard.execute("loop", key, slowly))
    await began.wait()
    with pytest.raises(InProgress):
        guard.execute_sync("loop", key, lambda: "other", wait=3600)
    go_on.set()
    assert await call == guard.execute_sync("loop", key, lambda: "other") == "done"


def test_conflict_does_not_wait(guard: Guard, key: str) -> None:
    def outer() -> None:
        with ThreadPoolExecutor(1) as pool, pytest.raises(InProgress):
            pool.submit(guard.execute_sync, "conflict", key, int, duplicate="conflict").result(30)

    guard.execute_sync("conflict", key, outer)
