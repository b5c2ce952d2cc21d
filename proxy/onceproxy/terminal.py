"""What a terminal can show: colours, and a line that stays at its bottom while others go by above it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

_ERASE = "\r\x1b[2K"


def is_lively(stream: IO[str]) -> bool:
    """Say whether a stream leads to a terminal on which lines can be changed after they were written."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def has_colours(stream: IO[str]) -> bool:
    """Say whether a stream leads to a terminal that may get colours (https://no-color.org)."""
    return is_lively(stream) and not os.environ.get("NO_COLOR")


class BottomLine:
    """A stream on which whole lines are written above one that stays.

    The cursor waits at the beginning of that line, so that another process of the same terminal that erases
    before it writes does no harm: see ``lines_above`` in a worker. Anything else is as on the stream.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._line = ""
        self._at_start = True
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, above the line that stays."""
        if text:
            with self._lock:
                erase = _ERASE if self._at_start else ""
                self._at_start = text.endswith("\n")
                self._stream.write(erase + text + (self._drawn() if self._at_start else ""))
        return len(text)

    def show(self, line: str) -> None:
        """Let another line stay, narrower than the terminal; none, if it is empty."""
        with self._lock:
            self._line = line
            if self._at_start:
                self._stream.write(_ERASE + self._drawn())
                self._stream.flush()

    def _drawn(self) -> str:
        return self._line + "\r" if self._line else ""


@contextmanager
def lines_above() -> Iterator[BottomLine | None]:
    """Have all that goes to stderr from here on written above a line that stays; None: it is no terminal."""
    if not is_lively(sys.stderr):
        yield None
        return
    stream = sys.stderr
    bottom = BottomLine(stream)
    sys.stderr = bottom  # it passes on all that it does not do itself
    try:
        yield bottom
    finally:
        bottom.show("")
        sys.stderr = stream
