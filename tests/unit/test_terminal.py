"""Lines above one that stays, and whether somebody would see it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from typing import IO

import pytest
from rich.console import Console

from onceproxy.admin.tally import Tally
from onceproxy.cli.live import drawn
from onceproxy.cli.progress import progress, shows_progress
from onceproxy.terminal import BottomLine, has_colours, is_lively, lines_above
from terminals import END, screen_of


@pytest.fixture
def terminal() -> Iterator[IO[str]]:
    """A stream to a terminal; what is written there is read at the other end."""
    person, program = os.openpty()
    with open(program, "w", encoding="utf-8") as stream, open(person, "rb", buffering=0) as seen:
        stream.seen = seen  # type: ignore[attr-defined]  # for `written`
        yield stream


def written(stream: IO[str]) -> str:
    stream.write(END)
    stream.flush()
    data = b""
    while END.encode() not in data:
        data += stream.seen.read(1 << 16)  # type: ignore[attr-defined]  # see `terminal`
    return data.decode().replace(END, "")


@pytest.mark.parametrize(
    ("environ", "lively", "colours"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "0"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({}, False, False),
    ],
)
def test_what_a_terminal_can_show(
    monkeypatch: pytest.MonkeyPatch, terminal: IO[str], environ: dict[str, str], lively: bool, colours: bool
) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert (is_lively(terminal), has_colours(terminal)) == (lively, colours)
    assert (is_lively(io.StringIO()), has_colours(io.StringIO())) == (False, False)


def test_lines_go_above_the_one_that_stays() -> None:
    stream = io.StringIO()
    bottom = BottomLine(stream)
    bottom.write("before\n")
    bottom.show("a long line that stays")
    bottom.write("one\n")
    for piece in ("in ", "", "pieces", "\n"):
        bottom.write(piece)
    bottom.show("another")

    assert screen_of(stream.getvalue()) == ["before", "one", "in pieces", "another"]
    bottom.show("")
    assert screen_of(stream.getvalue()) == ["before", "one", "in pieces", ""]


def test_a_line_waits_for_the_end_of_what_is_being_written() -> None:
    stream = io.StringIO()
    bottom = BottomLine(stream)
    bottom.write("half")
    bottom.show("stays")
    assert screen_of(stream.getvalue()) == ["half"]

    bottom.write(" and half\n")

    assert screen_of(stream.getvalue()) == ["half and half", "stays"]


def test_two_processes_of_one_terminal_do_not_write_into_one_another() -> None:
    stream = io.StringIO()
    supervisor, worker = BottomLine(stream), BottomLine(stream)
    supervisor.show("a line that stays, and is longer than others")
    worker.write("short\n")
    supervisor.show("stays")

    assert screen_of(stream.getvalue()) == ["short", "stays"]


def test_stderr_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch, terminal: IO[str]) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with lines_above() as bottom:
        assert bottom is not None
        assert sys.stderr.isatty()
        bottom.show("stays")
        print("said", file=sys.stderr)

    assert sys.stderr is terminal
    assert screen_of(written(terminal)) == ["said", ""]


def test_without_a_terminal_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with lines_above() as bottom:
        assert bottom is None
        assert sys.stderr is stream


@pytest.mark.parametrize("width", [10, 40, 200])
def test_the_line_is_narrower_than_the_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, color_system=None)

    line = drawn(console, Tally(1234567, 1200000, 34567, 3))

    assert len(line) < width
    assert (
        line in "onceproxy  requests 1,234,567 · executed 1,200,000 · replayed 34,567 · unknown 3"
        or line[-1] == "…"
    )


def test_a_bar_is_on_a_terminal_only_and_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch, terminal: IO[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", terminal)
    file = io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    with progress("receipts looked at") as tell:
        for done in (0, 500, 1500):
            tell(done, 1000)
            print(done)

    assert file.getvalue() == "0\n500\n1500\n"
    output = written(terminal)
    assert "1,500 receipts looked at" in output
    assert "100%" in output
    assert screen_of(output)[0] == ""

    elsewhere = io.StringIO()
    monkeypatch.setattr(sys, "stderr", elsewhere)
    with progress("receipts looked at") as tell:
        tell(1)
    assert elsewhere.getvalue() == ""


def test_no_bar_is_in_the_way_of_what_goes_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: IO[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert shows_progress(beside_output=True)

    monkeypatch.setattr(sys, "stdout", terminal)
    assert shows_progress()
    assert not shows_progress(beside_output=True)
