"""onceproxy: an HTTP proxy that makes side effects happen once, and the same guard for functions.

The package is three rings, and imports point inwards only (`pyproject.toml` holds the contracts):

- ``core``: pure values and decisions: identity, states, outcomes, problems.
- ``guard``: claim → execute → complete, over the ``Store`` and ``Execute`` ports.
- the edges: ``ingress`` (HTTP in), ``upstream`` (HTTP out), ``store`` (Postgres), ``spool`` (answers on the
  disk that the database does not take), ``config`` (YAML), ``admin`` (health, metrics), ``cli`` (commands),
  ``functions`` (calls of Python functions in and out).

``serve`` is the composition root that joins the edges to a proxy, ``functions.opening`` the one of the
library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onceproxy.version import __version__

if TYPE_CHECKING:
    from onceproxy.functions import (
        BadKey,
        Codec,
        CurrentCall,
        Doubt,
        Found,
        Guard,
        GuardClosed,
        GuardedAction,
        InProgress,
        KeyReused,
        NotFound,
        NoTransaction,
        OnceError,
        OutcomeUnknown,
        Overloaded,
        Probe,
        ReceiptExpired,
        ResultNotKept,
        ResultNotSet,
        ResultUnreadable,
        StoreUnavailable,
        Treatment,
        Unclear,
        configure,
        current_action,
        default_guard,
        once,
    )

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
    "__version__",
    "configure",
    "current_action",
    "default_guard",
    "once",
]


if not TYPE_CHECKING:  # to a type checker, a name that is not there is a mistake

    def __getattr__(name: str) -> Any:
        """Import the library when it is asked for: most who import this package are the proxy itself."""
        if name in __all__:
            return getattr(import_module("onceproxy.functions"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
