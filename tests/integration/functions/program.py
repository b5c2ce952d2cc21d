"""A program with a guarded function, to be killed, suspended and forked: ``URL DATA_DIR LEDGER WHAT KEY``.

Each call of the function writes a line to the ledger. A line on stdout says how each copy ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import asyncpg

from onceproxy import Guard, OnceError

url, data_dir, ledger, what, key = sys.argv[1:]
lease = Path(data_dir) / "lease.yaml"
guard = Guard(url, data_dir=data_dir, config=lease if lease.exists() else None)


def say(text: str) -> None:
    """Write a line at once, and whole: children share stdout."""
    os.write(1, f"{text}\n".encode())


def effect(order: str) -> None:
    with open(ledger, "a", encoding="utf-8") as file:
        file.write(f"{order} {os.getpid()}\n")


@guard.once(key="order", name="program", wait=30)
def act(order: str) -> str:
    effect(order)
    return "done"


@guard.once(key="order", name="program", wait=30)
def act_when_told(order: str) -> str:
    effect(order)
    say("began")
    sys.stdin.readline()
    return "done"


def copy(function: Any, order: str) -> None:
    try:
        say(function(order))
    except OnceError as error:
        say(f"{type(error).__name__} {error.request_id}")


def threads() -> None:
    running = [threading.Thread(target=copy, args=(act, key)) for _ in range(5)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def forks() -> None:
    """The parent's guard is open, and another thread is amid a call, when children are forked."""
    copy(act, f"{key}-parent")
    amid, go_on = threading.Event(), threading.Event()

    def hold() -> str:
        amid.set()
        go_on.wait()
        return "held"

    holding = threading.Thread(target=guard.execute_sync, args=("hold", key, hold))
    holding.start()
    amid.wait()
    parent = os.getpid()

    def fork_inside() -> str:
        if (child := os.fork()) == 0:
            return "child"
        assert os.waitpid(child, 0)[1] == 0
        return "parent"

    try:
        say(guard.execute_sync("inside", key, fork_inside))
    except OnceError as error:
        say(f"{type(error).__name__} {error}")
    if os.getpid() != parent:
        guard.close()
        os._exit(0)
    children = []
    for _ in range(3):
        if (child := os.fork()) == 0:
            copy(act, f"{key}-parent")
            copy(act, key)
            guard.close()
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    holding.join()
    copy(act, key)
    copy(act, f"{key}-after")


async def transaction() -> None:
    connection = await asyncpg.connect(url)
    async with guard, connection.transaction():

        async def move() -> str:
            effect(key)
            await connection.execute("CREATE TABLE IF NOT EXISTS moved (key text)")
            await connection.execute("INSERT INTO moved VALUES ($1)", key)
            return "done"

        say(await guard.transaction(connection).execute("program", key, move))
        os.kill(os.getpid(), signal.SIGKILL)


match what:
    case "once":
        copy(act, key)
    case "when-told":
        copy(act_when_told, key)
    case "threads":
        threads()
    case "forks":
        forks()
    case "transaction":
        asyncio.run(transaction())
