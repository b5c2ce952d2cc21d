"""What is found out when a function is decorated: its name, its options, what can't be guarded."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

import onceproxy
from onceproxy import Guard, OnceError, OutcomeUnknown, Probe
from onceproxy.core.policies import InDoubt
from onceproxy.functions.terms import read_terms

guard = Guard("embedded")


@guard.once(key="{order}", ttl=timedelta(days=1))
def pay(order: str, *, amount: int = 1) -> str:
    """Pay."""
    return order


@guard.once
async def pay_later(order: str) -> str:
    """Pay later."""
    return order


def test_a_guarded_function_looks_like_the_function() -> None:
    assert str(inspect.signature(pay)) == "(order: 'str', *, amount: 'int' = 1) -> 'str'"
    assert (pay.__name__, pay.__doc__) == ("pay", "Pay.")
    assert inspect.iscoroutinefunction(pay_later)
    assert not inspect.iscoroutinefunction(pay)


def test_wrong_arguments_are_told_before_anything_else() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'order'"):
        pay()  # type: ignore[call-arg]  # that is what it is about


def a_generator() -> Iterator[int]:
    yield 1


async def an_async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [a_generator, an_async_generator, int, 5, staticmethod(a_generator)])
def test_what_can_not_be_guarded_is_refused(function: Any) -> None:
    with pytest.raises(TypeError):
        guard.once(function)


def test_a_function_without_a_name_of_its_own_needs_one() -> None:
    def local() -> None: ...

    unnamed: list[Callable[[], None]] = [local, lambda: None]
    for function in unnamed:
        with pytest.raises(TypeError, match=r"name='billing\.charge'"):
            guard.once(function)
        assert callable(guard.once(name="billing.charge")(function))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"key": "oder"}, "no parameter 'oder'"),
        ({"exclude": "client"}, "no parameter 'client'"),
        ({"in_doubt": "repeat"}, "'refuse', 'resend', 'execute'"),
        ({"in_doubt": "probe"}, r"in_doubt=Probe\(function\)"),
        ({"in_doubt": "resend"}, "upstream_window"),
        ({"duplicate": "later"}, "'wait', 'conflict'"),
        ({"ttl": 0}, "more than 0"),
        ({"ttl": float("nan")}, "more than 0"),
        ({"ttl": float("inf")}, "at most 100 years"),
        ({"wait": -1}, "0 or more"),
        ({"after_ttl": "never"}, "'new', 'refuse'"),
        ({"name": ""}, "name is empty"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        guard.once(**options)(a_plain_one)


@pytest.mark.parametrize("options", [{"tll": 5}, {"ttl": "24h"}, {"ttl": True}])
def test_an_option_of_the_wrong_kind_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        guard.once(**options)(a_plain_one)


def a_plain_one(order: str) -> str:
    return order


def test_a_probe_is_a_refusal_until_it_is_asked() -> None:
    probe = Probe(lambda doubt: onceproxy.NotFound())
    terms = read_terms({"in_doubt": probe})
    assert (terms.policy.in_doubt, terms.probe) == (InDoubt.REFUSE, probe)


def test_exceptions_can_be_pickled() -> None:
    error = OutcomeUnknown("words", name="pay", request_id="oid_x", attempt=2, evidence="e", age=1.5)
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), vars(back)) == (str(error), vars(error))


def test_all_exceptions_have_one_base_and_words() -> None:
    kinds = [
        getattr(onceproxy, name) for name in onceproxy.__all__ if inspect.isclass(getattr(onceproxy, name))
    ]
    exceptions = [kind for kind in kinds if issubclass(kind, Exception)]
    assert len(exceptions) > 10
    for kind in exceptions:
        assert issubclass(kind, OnceError)
        assert kind.__doc__


def test_importing_the_package_imports_no_server() -> None:
    program = (
        "import sys, onceproxy\n"
        "assert 'onceproxy.functions' not in sys.modules\n"
        "onceproxy.once, onceproxy.Guard\n"
        "print([name for name in ('aiohttp', 'uvloop', 'prometheus_client') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'twice'"):
        _ = onceproxy.twice  # type: ignore[attr-defined]  # that is what it is about
