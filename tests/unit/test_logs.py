"""What the log says: of an exception no row, local variable or token; of others' text no line or command."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from asyncpg import CheckViolationError

from onceproxy.logs import configure, in_words, renderers


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


def test_lines_of_requests_are_as_all_others(stderr: io.StringIO) -> None:
    log: Any = structlog.get_logger("onceproxy.some")
    for tell in (log.bind(a=1, b=1), log):
        for said, how in (("info", tell.info), ("warning", tell.warning)):
            how("decision", b=2, event_id=3, c=None)
            how("decision %s", said, b=2)
            try:
                raise ValueError("some")
            except ValueError:
                how("failed", exc_info=True)

    lines = [json.loads(line) for line in stderr.getvalue().splitlines()]
    for line in lines:
        line.pop("timestamp")
        line["event"] = line["event"].replace(line["level"], "LEVEL")
        assert line.pop("level") in ("info", "warning")
    assert lines[0] == {"a": 1, "b": 2, "event_id": 3, "c": None, "event": "decision"}
    assert lines[1] == {"a": 1, "b": 2, "event": "decision LEVEL"}
    assert "ValueError: some" in lines[2]["exception"]
    for line in lines:
        line["exception"] = re.sub(r"line \d+", "", line.get("exception", ""))
    assert [list(line.items()) for line in lines[0:3]] == [list(line.items()) for line in lines[3:6]]
    assert [list(line.items()) for line in lines[6:9]] == [list(line.items()) for line in lines[9:12]]


def test_a_line_below_the_level_is_not_told(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    configure(logging.WARNING)
    log: Any = structlog.get_logger("onceproxy.some")
    log.info("decision")
    log.warning("trouble")

    assert [json.loads(line)["event"] for line in stderr.getvalue().splitlines()] == ["trouble"]


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


PLANTED = "a\r\nb\x1b]0;owned\x07\x1b[2J\x9b2J\x00\x7f\u2028\u202e\udc85"
NAMES = ("url", "host", "method", "route", "reason", "user", "error", "hint", "addresses", "file", "event")


def _rendered(event: dict[str, object], *, terminal: bool) -> str:
    for processor in renderers(terminal=terminal):
        event = processor(None, "warning", event)  # type: ignore[assignment]
    return str(event)


def _with_everything_planted() -> dict[str, object]:
    event: dict[str, object] = dict.fromkeys(NAMES, PLANTED)
    event["addresses"] = [PLANTED]
    event["problems"] = {PLANTED: PLANTED}
    event["exc_info"] = ValueError(PLANTED)
    return event


def test_whatever_is_logged_is_one_line_of_json() -> None:
    line = _rendered(_with_everything_planted(), terminal=False)

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["url"] == PLANTED


def test_a_terminal_gets_no_control_character_of_others() -> None:
    shown = _rendered(_with_everything_planted(), terminal=True)

    ours = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # the renderer's colours; none is among what was planted
    assert [one for one in ours if not one.isprintable() and one != "\n"] == []
    assert ours.count("\n") == 1  # between what happened and the exception
    assert r"a\r\nb\x1b]0;owned\x07" in ours
