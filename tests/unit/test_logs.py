"""What an exception says in the log: where it came from, and no row, no local variable, no token."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from asyncpg import CheckViolationError

from onceproxy.logs import configure, in_words


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Where the log goes that the test configures."""
    taken = io.StringIO()
    monkeypatch.setattr(sys, "stderr", taken)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure()
    yield taken
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("onceproxy").setLevel(logging.NOTSET)
    structlog.reset_defaults()


def test_a_line_is_one_json_object(stderr: io.StringIO) -> None:
    log: Any = structlog.get_logger("onceproxy.some")
    log.info("decision", url="https://ü/", status=200, odd=object)
    log.debug("not said")

    [line] = stderr.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("timestamp").endswith("Z")
    assert told.pop("event") == "decision"
    assert told == {"level": "info", "url": "https://ü/", "status": 200, "odd": repr(object)}


def test_libraries_are_heard_from_warnings_on(stderr: io.StringIO) -> None:
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("trouble")

    [line] = stderr.getvalue().splitlines()
    assert json.loads(line)["event"] == "trouble"


def test_no_request_fails_for_a_line_that_cannot_be_written(stderr: io.StringIO) -> None:
    stderr.close()

    structlog.get_logger("onceproxy.some").info("decision")


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
