"""What a type checker makes of guarded functions. It is never run: mypy and pyright read it.

What must be an error carries a comment that silences it; one that silences nothing is an error itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, assert_type
from uuid import UUID

from onceproxy import Codec, Doubt, Found, Guard, NotFound, Probe, Unclear, configure, current_action, once


@dataclass
class Charge:
    id: str


guard = Guard("embedded")
assert_type(configure(scope="tenant"), Guard)


@once
def bare(order: str, *, amount: int = 1) -> Charge:
    return Charge(order)


@once(key="order", ttl=60, final_on=ValueError, released_on=(ConnectionError,))
async def keyed(order: str, *lines: int, **more: bytes) -> Charge:
    return Charge(order)


@guard.once(key=lambda order: order, scope="{order}", exclude="order", in_doubt="resend", upstream_window=60)
async def guarded(order: str) -> None: ...


class Till:
    @guard.once(key="order", exclude="self")
    def pay(self, order: str) -> int:
        return 1

    @guard.once(exclude=("self",))
    async def pay_later(self, order: str) -> int:
        return 1


def sync_probe(doubt: Doubt) -> Found | NotFound | Unclear:
    assert_type(doubt.request_id, str)
    return Found(1)


async def async_probe(doubt: Doubt) -> Found | NotFound:
    return NotFound()


class Shout:
    content_type = "text/plain"

    def encode(self, value: str) -> bytes:
        return value.encode()

    def decode(self, data: bytes) -> str:
        return data.decode()


shout: Codec[str] = Shout()


def plain() -> Charge:
    return bare("o", amount=2)


async def later() -> Charge:
    return await keyed("o")


async def signatures() -> None:
    assert_type(bare("o"), Charge)
    assert_type(await keyed("o", 1, 2, note=b""), Charge)
    assert_type(await guarded("o"), None)
    assert_type(Till().pay("o"), int)
    assert_type(await Till().pay_later("o"), int)
    kept: Callable[[str], Coroutine[Any, Any, None]] = guarded
    await kept("o")

    bare(1)  # type: ignore[arg-type]
    bare("o", 2)  # type: ignore[call-arg]
    bare()  # type: ignore[call-arg]
    await keyed("o", "1")  # type: ignore[arg-type]
    Till().pay()  # type: ignore[call-arg]
    once(key=5)  # type: ignore[call-overload]
    once(ttl="24h")  # type: ignore[call-overload]
    once(in_doubt="repeat")  # type: ignore[call-overload]
    once(no_such_option=1)  # type: ignore[call-overload]


async def ways() -> None:
    assert_type(await guard.execute("n", "k", later), Charge)
    assert_type(await guard.execute("n", 1, later, scope=("a", "b"), returns=Charge), Charge)
    assert_type(guard.execute_sync("n", UUID(int=1), plain, in_doubt=Probe(sync_probe, settle=1)), Charge)
    assert_type(guard.execute_sync("n", ("a", 1), lambda: "x", returns=shout), str)
    async with guard.action("n", "k", in_doubt=Probe(async_probe)) as action:
        assert_type(action.fresh, bool)
        assert_type(action.request_id, str)
        assert_type(action.uuid, UUID)
        assert_type(action.attempt, int)
        action.result = 1
    with guard.action("n", "k") as action:
        assert_type(action.replayed, bool)
    transaction = guard.transaction(object())
    assert_type(await transaction.execute("n", "k", later), Charge)
    assert_type(transaction.execute_sync("n", "k", plain), Charge)
    assert_type(current_action().request_id, str)

    await guard.execute("n", "k", plain)  # type: ignore[arg-type]
    await guard.execute("n", None, later)  # type: ignore[arg-type]
    await guard.execute("n", "k", later, wait="long")  # type: ignore[arg-type]


async def life() -> None:
    async with Guard() as one:
        assert_type(one, Guard)
    with Guard() as one:
        assert_type(one, Guard)
