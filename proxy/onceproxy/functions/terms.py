"""How the calls of a function are treated: the options of ``once``, ``execute`` and ``action``, checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypedDict

from onceproxy.core.policies import AfterTtl, Duplicate, InDoubt, Policy
from onceproxy.functions.codecs import Codec
from onceproxy.functions.probing import Probe
from onceproxy.functions.raising import Declared

LONGEST = 100 * 365 * 86_400.0  # seconds

Seconds = float | timedelta
Exceptions = tuple[type[BaseException], ...] | type[BaseException]


class Treatment(TypedDict, total=False):
    """The options that all ways to guard a call have in common.

    - ``ttl``: how long the receipt answers copies, more than 0. Default: 24 hours.
    - ``after_ttl``: what a copy gets after that: ``"new"``, it is a new call; ``"refuse"``,
    ``ReceiptExpired``.
    - ``in_doubt``: what a copy gets whose earlier attempt nobody knows the outcome of: ``"refuse"``,
      ``OutcomeUnknown``; ``"resend"``, the function is called again, with the same ``request_id``, within
      ``upstream_window`` of the first attempt; ``"execute"``, it is called again, whenever; or a ``Probe``.
    - ``upstream_window``: how long whoever is called by the function knows a ``request_id`` again; for
      ``"resend"``.
    - ``duplicate``: what a copy does that meets another one at work: ``"wait"`` for what comes of it, as long
      as ``wait`` (default 30 s), or ``"conflict"``, ``InProgress`` at once.
    - ``released_on``: exceptions after which it is certain that nothing happened: the next copy is called.
    - ``final_on``: exceptions that are an answer: stored, and raised again for copies.
    - ``returns``: how results are stored: a type, or a ``Codec``.
    - ``show_key``: whether receipts show the key to people. Default: true.

    Times are seconds, or a ``timedelta``.
    """

    ttl: Seconds
    after_ttl: Literal["new", "refuse"]
    in_doubt: Literal["refuse", "resend", "execute"] | Probe
    upstream_window: Seconds
    duplicate: Literal["wait", "conflict"]
    wait: Seconds
    released_on: Exceptions
    final_on: Exceptions
    returns: Codec[Any] | Any
    show_key: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """A treatment, read. ``returns`` is as it was given; None: by the function's hint, or plain JSON."""

    policy: Policy
    declared: Declared
    probe: Probe | None
    returns: Any
    show_key: bool


def read_terms(given: Treatment) -> Terms:
    """Return what options mean.

    Raises:
        TypeError, ValueError: one of them can't be used; the text says which, and what would be right.
    """
    unknown = given.keys() - Treatment.__annotations__.keys()
    if unknown:
        raise TypeError(f"there is no option {sorted(unknown)[0]!r}; there are {_options()}")
    in_doubt = given.get("in_doubt", "refuse")
    probe = in_doubt if isinstance(in_doubt, Probe) else None
    # A probe is asked by us, in the place of the function: to the guard's core it is a refusal until then.
    doubt = InDoubt.REFUSE if probe is not None else _choice("in_doubt", in_doubt, InDoubt)
    if doubt is InDoubt.PROBE:
        raise ValueError("in_doubt: give the probe itself, in_doubt=Probe(function)")
    window = _seconds("upstream_window", given.get("upstream_window", 0.0), above=doubt is InDoubt.RESEND)
    policy = Policy(
        duplicate=_choice("duplicate", given.get("duplicate", "wait"), Duplicate),
        wait=_seconds("wait", given.get("wait", 30.0)),
        in_doubt=doubt,
        upstream_window=window,
        ttl=_seconds("ttl", given.get("ttl", 86_400.0), above=True),
        after_ttl=_choice("after_ttl", given.get("after_ttl", "new"), AfterTtl),
    )
    declared = Declared(_classes(given.get("released_on", ())), _classes(given.get("final_on", ())))
    return Terms(policy, declared, probe, given.get("returns"), given.get("show_key", True))


def _options() -> str:
    return ", ".join(Treatment.__annotations__)


def _classes(given: Exceptions) -> tuple[type[BaseException], ...]:
    return (given,) if isinstance(given, type) else tuple(given)


def _choice(option: str, given: Any, kind: Any) -> Any:
    try:
        return kind(given)
    except ValueError:
        known = ", ".join(repr(one.value) for one in kind if one != "probe")
        raise ValueError(f"{option}={given!r}: it is one of {known}") from None


def _seconds(option: str, given: Seconds, *, above: bool = False) -> float:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{option} is seconds, or a timedelta")
    if not (seconds > 0 if above else seconds >= 0) or seconds > LONGEST:
        least = "more than 0" if above else "0 or more"
        raise ValueError(f"{option}={seconds:g}: it must be {least} seconds, and at most 100 years")
    return float(seconds)
