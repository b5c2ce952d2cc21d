"""What exceptions mean, and how final ones are stored and made again: of declared classes only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onceproxy.functions.codecs import NotEncodable
from onceproxy.functions.raising import SHOWN, Declared, Meaning, NoSuchException, in_words, stored_form


class Refused(Exception):
    """An answer."""


class Declined(Refused):
    """A kind of answer."""


class Busy(Refused):
    """Turned away at the door."""


class Keyworded(Refused):
    """Can't be made from its args."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")


class Rewording(Refused):
    """Its args are not what it was made with."""

    def __init__(self, text: str) -> None:
        super().__init__(f"refused: {text}")


DECLARED = Declared(released_on=(Busy, ConnectionRefusedError), final_on=(Refused,))


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (Refused(), Meaning.FINAL),
        (Declined(), Meaning.FINAL),
        (Busy(), Meaning.NOTHING_HAPPENED),  # the nearest class decides, not the order
        (ConnectionRefusedError(), Meaning.NOTHING_HAPPENED),
        (ConnectionResetError(), Meaning.UNKNOWN),
        (KeyboardInterrupt(), Meaning.UNKNOWN),
        (ExceptionGroup("", [Refused()]), Meaning.UNKNOWN),
    ],
)
def test_what_an_exception_means(error: BaseException, meaning: Meaning) -> None:
    assert DECLARED.meaning(error) is meaning


@pytest.mark.parametrize("error", [Refused(), Refused("no", 3, None, ["a"]), Declined("ä")])
def test_a_final_exception_comes_back(error: Exception) -> None:
    back = DECLARED.again(stored_form(error))
    assert type(back) is type(error)
    assert back.args == error.args


@pytest.mark.parametrize("error", [Refused(object()), Refused((1,)), Keyworded(code=1), Rewording("x")])
def test_what_can_not_be_made_again_is_not_stored(error: Exception) -> None:
    with pytest.raises(NotEncodable):
        stored_form(error)


@pytest.mark.parametrize(
    "stored",
    [
        {"type": "builtins.ValueError", "args": []},  # not declared
        {"type": "os.system", "args": ["true"]},
        {"type": f"{__name__}.Keyworded", "args": [1]},
        {"type": f"{__name__}.Refused"},
        ["x"],
        None,
    ],
)
def test_only_declared_exceptions_are_made(stored: Any) -> None:
    with pytest.raises(NoSuchException):
        DECLARED.again(json.dumps(stored).encode())


@pytest.mark.parametrize(
    "options",
    [
        {"released_on": (Exception,)},
        {"released_on": (BaseException,)},
        {"released_on": (KeyboardInterrupt,)},
        {"released_on": (Refused,), "final_on": (Refused,)},
    ],
)
def test_what_would_call_again_whatever_happened_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Declared(**options)


def test_only_exception_classes_can_be_declared() -> None:
    with pytest.raises(TypeError, match="final_on takes exception classes"):
        Declared(final_on=(Refused("an instance"),))  # type: ignore[arg-type]  # that is what it is about


def test_evidence_is_short_and_holds_no_token() -> None:
    assert in_words(ValueError("key sk_live_abcdefgh123 refused")) == "ValueError: key *** refused"
    assert in_words(ValueError("refused\nDETAIL: the row (1, ada@example.com)")) == "ValueError: refused"
    assert in_words(ValueError()) == "ValueError"
    assert len(in_words(ValueError("x" * 10_000))) < SHOWN + 20
