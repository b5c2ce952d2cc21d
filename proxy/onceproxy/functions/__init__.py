"""The same guard for functions: ``once``, ``Guard``, and what they raise.

A call is an action as a request is: it has an identity, a claim, attempts and a receipt, in the same tables
and by the same guard and store. What is here is what a call has in the place of HTTP: arguments for a body,
results and exceptions for responses, and the caller's own thread or task for the wire (see ``calls``).
"""

from onceproxy.functions.actions import GuardedAction
from onceproxy.functions.codecs import Codec
from onceproxy.functions.current import CurrentCall, current_action
from onceproxy.functions.default import configure, default_guard, once
from onceproxy.functions.errors import (
    BadKey,
    GuardClosed,
    InProgress,
    KeyReused,
    NoTransaction,
    OnceError,
    OutcomeUnknown,
    Overloaded,
    ReceiptExpired,
    ResultNotKept,
    ResultNotSet,
    ResultUnreadable,
    StoreUnavailable,
)
from onceproxy.functions.guard import Guard
from onceproxy.functions.probing import Doubt, Found, NotFound, Probe, Unclear
from onceproxy.functions.terms import Treatment

__all__ = [
    "BadKey",
    "Codec",
    "CurrentCall",
    "Doubt",
    "Found",
    "Guard",
    "GuardClosed",
    "GuardedAction",
    "InProgress",
    "KeyReused",
    "NoTransaction",
    "NotFound",
    "OnceError",
    "OutcomeUnknown",
    "Overloaded",
    "Probe",
    "ReceiptExpired",
    "ResultNotKept",
    "ResultNotSet",
    "ResultUnreadable",
    "StoreUnavailable",
    "Treatment",
    "Unclear",
    "configure",
    "current_action",
    "default_guard",
    "once",
]
