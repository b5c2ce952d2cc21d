"""Words and colours that the commands share."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime

from onceproxy.core.states import State

COLOURS = {
    State.COMPLETED: "green",
    State.TOMBSTONE: "dim green",
    State.CLAIMED: "cyan",
    State.RELEASED: "dim",
    State.IN_DOUBT: "bold red",
    State.ABSENT: "dim",
}


def age(since: datetime) -> str:
    """Say how long ago something was, in the largest unit that fits."""
    seconds = max(0, int((datetime.now(UTC) - since).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def signed(note: str) -> str:
    """Return a note with the name of whoever runs the command."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        name = f"uid {os.getuid()}"
    return f"{name}: {note}"
