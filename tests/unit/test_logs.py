"""What an exception says in the log: where it came from, and no row, no local variable, no token."""

from __future__ import annotations

from asyncpg import CheckViolationError

from onceproxy.logs import in_words


def test_an_error_of_postgres_does_not_quote_the_row() -> None:
    refused = CheckViolationError("new row violates check constraint")
    refused.detail = "Failing row contains (xyzzy)."

    told = _told(refused, "plugh")

    assert "new row violates check constraint" in told
    assert "in _told" in told
    assert "xyzzy" not in told
    assert "plugh" not in told


def test_causes_are_told_and_tokens_are_not() -> None:
    told = _told(RuntimeError("while sending sk_live_xyzzy"), "")

    assert "RuntimeError: while sending ***" in told
    assert "because of" in told
    assert "ValueError: the first" in told


def _told(error: Exception, secret: str) -> str:
    try:
        try:
            raise ValueError("the first")
        except ValueError as first:
            raise error from first
    except type(error) as caught:
        return in_words((type(caught), caught, caught.__traceback__))
