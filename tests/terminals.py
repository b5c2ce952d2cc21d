"""A terminal for a program to run in, and what a person would see on it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import struct
import termios
from collections.abc import Callable
from types import TracebackType

END = "\0"  # what is written last to know that all before it has come through: terminals have queues
PATIENCE = 30.0  # seconds until a test that waits for something gives up
_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b")


def screen_of(output: str) -> list[str]:
    """Return the rows that a wide terminal shows after all of ``output``, colours taken off."""
    rows, row, column = [""], 0, 0
    for found in _CONTROL.finditer(output):
        text, numbers, control = found[0], found[1], found[2]
        if text == "\r":
            column = 0
        elif text == "\n":
            row, column = row + 1, 0
            if row == len(rows):
                rows.append("")
        elif control == "K":
            rows[row] = {"2": "", "1": " " * column + rows[row][column:]}.get(numbers, rows[row][:column])
        elif control == "A":
            row = max(0, row - int(numbers or 1))
        elif control is None and text != "\x1b":
            rows[row] = rows[row][:column].ljust(column) + text + rows[row][column + len(text) :]
            column += len(text)
    return [line.rstrip() for line in rows]


class Terminal:
    """A pseudo-terminal of 1000 columns. ``program`` is a program's end; ``output`` all that it wrote."""

    def __init__(self) -> None:
        self._person, self.program = os.openpty()
        fcntl.ioctl(self.program, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 1000, 0, 0))
        os.set_blocking(self._person, False)
        self.output = ""
        self._news = asyncio.Event()

    @property
    def screen(self) -> list[str]:
        """What a person sees, without empty rows at the end."""
        return screen_of(self.output)

    async def shows(self, true: Callable[[list[str]], bool]) -> list[str]:
        """Wait until the screen is as wanted; return it."""
        async with asyncio.timeout(PATIENCE):
            while not true(self.screen):
                self._news.clear()
                await self._news.wait()
        return self.screen

    async def whole(self) -> str:
        """Return the output when all that was written so far is there."""
        os.write(self.program, END.encode())
        async with asyncio.timeout(PATIENCE):
            while END not in self.output:
                self._news.clear()
                await self._news.wait()
        self.output = self.output.replace(END, "")
        return self.output

    def __enter__(self) -> Terminal:
        asyncio.get_running_loop().add_reader(self._person, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._read()
        asyncio.get_running_loop().remove_reader(self._person)
        os.close(self.program)
        os.close(self._person)

    def _read(self) -> None:
        try:
            while data := os.read(self._person, 1 << 16):
                self.output += data.decode(errors="replace")
        except (BlockingIOError, OSError):
            pass
        self._news.set()
