"""The call that the running code belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from onceproxy.core.receipts import RequestId


@dataclass(frozen=True, slots=True)
class CurrentCall:
    """A guarded call that is being made. ``attempt`` counts from 1."""

    name: str
    identity: RequestId
    attempt: int

    @property
    def request_id(self) -> str:
        """The identity of the call (``oid_…``), the same for all its copies: a key to hand to a vendor."""
        return str(self.identity)

    @property
    def uuid(self) -> UUID:
        """The same as a UUID, for vendors that want one."""
        return self.identity.uuid


_calls: ContextVar[tuple[CurrentCall, ...]] = ContextVar("onceproxy_calls", default=())


def current_action() -> CurrentCall:
    """Return the innermost guarded call that the running code belongs to.

    Raises:
        LookupError: it belongs to none.
    """
    if not _calls.get():
        raise LookupError("no guarded call is being made here")
    return _calls.get()[-1]


def is_running(request_id: RequestId) -> bool:
    """Say whether the running code is a part of that call: who waits for it here waits for itself."""
    return any(call.identity == request_id for call in _calls.get())


@contextmanager
def running(call: CurrentCall) -> Iterator[None]:
    """Make ``call`` the current one."""
    before = _calls.get()
    _calls.set((*before, call))
    try:
        yield
    finally:
        # Not by a token: a block may be left in another context than it was entered in.
        _calls.set(before)
