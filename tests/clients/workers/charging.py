"""What the tasks of all libraries do: count, and be killed where the test says so."""

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onceproxy import Guard
from onceproxy.testing import Effects

effects = Effects(Path(os.environ["EFFECTS"]))
guard = Guard(os.environ["DATABASE"])
BROKER = os.environ["BROKER"]
FIRST = sys.argv[1] != "again"
KILLED = sys.argv[1]  # amid the task, or after it and before its acknowledgement
PATIENCE = 30.0  # seconds for a message to be delivered again


def charge(order: str) -> str:
    """The effect."""
    effects.happen(f"charged {order}")
    if KILLED == "amid":
        os.kill(os.getpid(), signal.SIGKILL)
    return f"charge of {order}"


def watched(function: Callable[..., Any]) -> Callable[..., Any]:
    """Note what comes of each delivery."""

    @functools.wraps(function)
    def deliver(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            effects.happen(f"told {type(error).__name__}")
            raise
        effects.happen(f"told {result}")
        if KILLED == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return deliver


def end_when_told() -> None:
    """End this process when the redelivery was told something."""
    before = told()

    def wait() -> None:
        deadline = time.monotonic() + PATIENCE
        while told() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(0 if told() > before else 1)

    threading.Thread(target=wait, daemon=True).start()


def told() -> int:
    """How often anything was told."""
    return sum(count for what, count in effects.counts.items() if what.startswith("told"))
