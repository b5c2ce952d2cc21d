"""One user's waiting copies leave room for another's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from onceproxy.core.limits import Limit
from onceproxy.core.receipts import RequestId
from onceproxy.guard.waiters import Waiters


def an_id(number: int) -> RequestId:
    return RequestId(bytes([number]) * 32)


def test_one_user_can_not_take_all_of_the_room() -> None:
    hit: list[Limit] = []
    waiters = Waiters(8, 4, hit.append)
    with ExitStack() as waiting:

        def may_wait(number: int, user: str | None) -> Callable[[], bool]:
            return waiting.enter_context(waiters.one(an_id(number), user))

        assert [may_wait(number, "ann")() for number in range(5)] == [True] * 4 + [False]
        assert hit == [Limit.WAITERS]
        bob = may_wait(9, "bob")
        assert bob()
        assert bob(), "once it may, it may to the end"
        assert [may_wait(number, None)() for number in range(10, 14)] == [True] * 3 + [False]
    with ExitStack() as waiting:
        assert [waiting.enter_context(waiters.one(an_id(n), "ann"))() for n in range(4)] == [True] * 4
    assert waiters._of_users == {}


def test_where_there_is_room_for_one_anybody_may_have_it() -> None:
    waiters = Waiters(1, 4, lambda _: None)

    for user in ("ann", None, "bob"):
        with waiters.one(an_id(1), user) as may_wait:
            assert may_wait()
