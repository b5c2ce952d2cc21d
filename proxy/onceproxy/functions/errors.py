"""What a guarded call raises in place of its function's result: what is known, and the next step.

All but ``BadKey`` and ``NoTransaction`` are about one call, and name its receipt. None of them means that the
function may be called again behind the guard's back: calling the guarded function again is always safe.
"""

from __future__ import annotations


class OnceError(Exception):
    """A guarded call has no result to give. The base class of all that follow.

    ``name`` is what is guarded, ``request_id`` the receipt (``oid_…``, as ``onceproxy receipts`` takes it),
    ``attempt`` the attempt that the receipt tells of; each None where it is not known. ``executed``: the
    function was called by this very call.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str | None = None,
        request_id: str | None = None,
        attempt: int | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.request_id = request_id
        self.attempt = attempt
        self.executed = executed


class InProgress(OnceError):
    """Another copy of this call is still at work, longer than ``wait``. Call again later."""


class OutcomeUnknown(OnceError):
    """An earlier attempt began, and nobody can know whether it took effect. It is not called again.

    Look where the effect would be, and say what you saw: ``onceproxy receipts resolve`` with the request_id.
    ``evidence`` is what is known of the attempt, in words; ``age`` the seconds since it is in doubt.
    """

    def __init__(self, message: str, *, evidence: str = "", age: float = 0.0, **about: object) -> None:
        super().__init__(message, **about)  # type: ignore[arg-type]  # OnceError's own keywords
        self.evidence = evidence
        self.age = age


class KeyReused(OnceError):
    """The key was first used with other arguments. Nothing was called; use a new key for a new action."""


class ResultNotKept(OnceError):
    """It happened, and its result is not in the receipt: it could not be encoded, or was too large.

    Do not call it under another key either: ask for the result where the effect is.
    """


class ResultUnreadable(ResultNotKept):
    """It happened, and its stored result can't be read: another codec or type wrote it, or a key is gone."""


class ReceiptExpired(OnceError):
    """It happened, and its receipt has expired (``after_ttl="refuse"``). Nothing was called."""


class StoreUnavailable(OnceError):
    """The database of receipts can't be used now. Call again later: it is safe.

    Nothing was called, unless ``executed`` is true: then the function has returned, or raised, and its
    receipt goes on being stored.
    """


class Overloaded(OnceError):
    """As many calls as may be are under way (``limits`` in the configuration). Nothing was called."""


class GuardClosed(OnceError):
    """The guard was closed. Nothing was called, unless ``executed`` is true: then the receipt is in doubt."""


class BadKey(OnceError, ValueError):
    """The key of a call is empty or None, or no text: it would make different calls one action."""


class ResultNotSet(OnceError):
    """A block of ``guard.action`` did not say what came of it, or did not ask whether it was to run."""


class NoTransaction(OnceError):
    """The connection is not in a transaction, or not one to the database of receipts."""
