"""The side effect that all peers guard, and what each program is told by its environment.

One line is added to a file for each execution. ``KILL``: the process is killed right after it, before anybody
can say that it happened. ``SLOW``: it goes on for so many seconds after it.
"""

import os
import signal
import time

POSTGRES = os.environ["COMPARE_POSTGRES"]
REDIS_PORT = int(os.environ["COMPARE_REDIS_PORT"])
FOLDER = os.environ["COMPARE_FOLDER"]
KEY = os.environ["COMPARE_KEY"]
AMOUNT = int(os.environ["COMPARE_AMOUNT"])
LEASE = 2  # seconds, where one can be set


def effect(amount: int) -> dict[str, int]:
    """Have the effect, and do as we are told."""
    file = os.open(f"{FOLDER}/effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{KEY} {amount}\n".encode())
    os.close(file)
    if os.environ.get("COMPARE_KILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(os.environ.get("COMPARE_SLOW", "0")))
    return {"amount": amount}
