"""The program that `onceproxy run` runs: its start, its signals, and the code that it ends with."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

NOT_FOUND, NOT_EXECUTABLE, KILLED = 127, 126, 128  # the exit codes of POSIX shells
# SIGQUIT is here so that the proxy outlives a Ctrl-\ for as long as the program does.
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# What a terminal's keys send, to all of its foreground process group.
_OF_KEYS = (signal.SIGINT, signal.SIGQUIT)


class Child:
    """One program, run once, on our own stdin, stdout and stderr.

    ``signalled`` is the first signal that told us to stop, or None.
    """

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._starter: asyncio.Task[None] | None = None
        self.signalled: signal.Signals | None = None

    def take_signals(self) -> None:
        """Pass signals on to the program from now on; the first that comes before it runs is kept.

        A signal that is ignored (as under nohup) stays so, for us and for the program.
        """
        loop = asyncio.get_running_loop()
        for number in PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._take, number)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a second signal cancel what is awaited in here; the first lets it end in order."""
        self._starter = asyncio.current_task()
        try:
            yield
        finally:
            self._starter = None

    async def run(self, environ: Mapping[str, str]) -> int:
        """Run the program to its end and return its exit code, as a shell would tell it."""
        if self.signalled is not None:
            return killed_by(self.signalled)
        try:
            # Not asyncio's: uvloop's children would not ignore what is ignored here. Descriptors that we
            # were given, such as bash's <(…), are the program's; our own are closed by exec.
            self._process = subprocess.Popen(self._command, env=environ, close_fds=False)  # noqa: ASYNC220, S603
        except FileNotFoundError:
            click.echo(f"onceproxy: {self._command[0]}: not found", err=True)
            return NOT_FOUND
        except OSError as error:
            click.echo(f"onceproxy: {self._command[0]}: {error.strerror}", err=True)
            return NOT_EXECUTABLE
        code = await asyncio.to_thread(self._process.wait)
        return killed_by(-code) if code < 0 else code

    def _take(self, number: signal.Signals) -> None:
        if self._process is not None:
            self.signalled = self.signalled or number
            if not (number in _OF_KEYS and _in_foreground()):
                self._process.send_signal(number)
        elif self.signalled is None:
            self.signalled = number
        elif self._starter is not None:
            self._starter.cancel()


def killed_by(number: int) -> int:
    """Return the exit code that tells of a signal."""
    return KILLED + number


def _in_foreground() -> bool:
    """Whether keys of our terminal reach the program by themselves.

    Programs take a second Ctrl-C for "at once", so one must not become two.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
