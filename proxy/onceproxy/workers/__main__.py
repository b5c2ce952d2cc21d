"""`python -m onceproxy.workers DESCRIPTOR`: one worker. Only a supervisor starts these."""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop

from onceproxy import logs
from onceproxy.cli.errors import startup_errors
from onceproxy.terminal import lines_above
from onceproxy.workers.worker import work


def main() -> None:
    """Work until told to stop, by the supervisor or by its end."""
    end = socket.socket(fileno=int(sys.argv[1]))
    end.set_inheritable(False)
    with (
        lines_above(),  # of the supervisor's
        startup_errors(),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        logs.configure()
        runner.run(work(end))


if __name__ == "__main__":
    main()
