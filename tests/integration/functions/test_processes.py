"""Guarded calls in processes of their own: many at once, killed, suspended, interrupted, forked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner

from onceproxy import Guard, OutcomeUnknown
from onceproxy.cli import main
from onceproxy.crashpoints import VARIABLE
from processes import forget_who_ignored_signals

PROGRAM = Path(__file__).with_name("program.py")
PATIENCE = 60  # seconds for a program to end

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The file with a line for each time that the function was called."""
    file = tmp_path / "ledger"
    file.touch()
    return file


@pytest.fixture
def start(receipts_url: str, data_dir: Path, ledger: Path) -> Iterator[Start]:
    """Starts programs, and ends them with the test."""
    with ExitStack() as stack:

        def start_one(what: str, key: str, directory: Path = data_dir, crash: str = "") -> Any:
            program = subprocess.Popen(
                [sys.executable, PROGRAM, receipts_url, directory, ledger, what, key],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, VARIABLE: crash},
                start_new_session=True,
                preexec_fn=forget_who_ignored_signals,
            )
            stack.enter_context(program)
            stack.callback(kill_all, program.pid)
            return program

        yield start_one


def kill_all(group: int) -> None:
    """Kill a program and its children, as far as they live."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def ended(program: subprocess.Popen[str]) -> list[str]:
    """The lines that a program said, when it has ended well."""
    out, err = program.communicate(timeout=PATIENCE)
    assert program.returncode == 0, err
    return out.splitlines()


def killed(program: subprocess.Popen[str]) -> None:
    """Wait until a program was killed."""
    program.communicate(timeout=PATIENCE)
    assert program.returncode == -signal.SIGKILL


def calls(ledger: Path, key: str) -> int:
    """How often the function was called."""
    return [line.split()[0] for line in ledger.read_text().splitlines()].count(key)


def resolve(receipts_url: str, *arguments: str) -> str:
    """Resolve as a person does."""
    result = CliRunner().invoke(main, ["receipts", *arguments, "--database", receipts_url])
    assert result.exit_code == 0, result.output
    return result.output


def fetch(url: str, query: str, *values: object) -> Any:
    """Ask the database."""

    async def ask() -> Any:
        connection = await asyncpg.connect(url)
        value = await connection.fetchval(query, *values)
        await connection.close()
        return value

    return asyncio.run(ask())


def test_copies_of_many_processes_and_threads_are_one_call(start: Start, ledger: Path, key: str) -> None:
    programs = [start("threads", key) for _ in range(4)]
    assert [ended(program) for program in programs] == [["done"] * 5] * 4
    assert calls(ledger, key) == 1


def test_killed_after_the_effect_it_is_in_doubt_until_somebody_says(
    start: Start, ledger: Path, key: str, receipts_url: str, data_dir: Path
) -> None:
    keys = {"--happened": f"{key}-yes", "--did-not-happen": f"{key}-no"}
    programs = [start("once", one, crash="before-completion") for one in keys.values()]
    for program in programs:
        killed(program)
    with Guard(receipts_url, data_dir=data_dir) as guard:

        @guard.once(key="order", name="program")
        def act(order: str) -> str:
            ledger.write_text(ledger.read_text() + f"{order} 0\n")
            return "done again"

        for what, one in keys.items():
            assert calls(ledger, one) == 1
            with pytest.raises(OutcomeUnknown) as caught:
                act(one)
            assert caught.value.request_id is not None
            assert f"CALL function:program/{one}" in resolve(receipts_url, "show", caught.value.request_id)
            body = ["--body", '"found"'] if what == "--happened" else []
            resolve(receipts_url, "resolve", caught.value.request_id, what, *body, "--note", "looked")
        assert act(keys["--happened"]) == "found"
        assert act(keys["--did-not-happen"]) == "done again"
    assert [calls(ledger, one) for one in keys.values()] == [1, 2]


@pytest.fixture
def short_lease(tmp_path: Path) -> Path:
    """The data directory of a program that has to renew its lease each second, as of another machine."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / "lease.yaml").write_text("version: 1\nlimits: {lease: 1s}\n")
    return directory


def test_suspended_in_the_effect_for_longer_than_its_lease(
    start: Start, ledger: Path, key: str, short_lease: Path, guard: Guard
) -> None:
    @guard.once(key="order", name="program")
    def act(order: str) -> str:
        return "other"

    program = start("when-told", key, directory=short_lease)
    assert program.stdout is not None
    assert program.stdout.readline() == "began\n"
    program.send_signal(signal.SIGSTOP)
    with pytest.raises(OutcomeUnknown):  # it waits until the lease has run out
        act(key)
    program.send_signal(signal.SIGCONT)
    out, err = program.communicate("go on\n", timeout=PATIENCE)
    assert (out, program.returncode) == ("done\n", 0), err
    assert act(key) == "done"
    assert calls(ledger, key) == 1


def test_suspended_before_the_effect_it_is_not_called_any_more(
    start: Start, ledger: Path, key: str, short_lease: Path, guard: Guard
) -> None:
    @guard.once(key="order", name="program")
    def act(order: str) -> str:
        return "other"

    program = start("once", key, directory=short_lease, crash="after-claim:stop")
    os.waitid(os.P_PID, program.pid, os.WSTOPPED)
    with pytest.raises(OutcomeUnknown):
        act(key)
    program.send_signal(signal.SIGCONT)
    (line,) = ended(program)
    assert line.startswith("StoreUnavailable oid_")
    assert calls(ledger, key) == 0
    assert act(key) == "other"


def test_interrupted_it_is_in_doubt_at_once(start: Start, ledger: Path, key: str, guard: Guard) -> None:
    @guard.once(key="order", name="program", wait=0)
    def act(order: str) -> str:
        return "other"

    program = start("when-told", key)
    assert program.stdout is not None
    assert program.stdout.readline() == "began\n"
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=PATIENCE)
    assert "KeyboardInterrupt" in err
    with pytest.raises(OutcomeUnknown, match="KeyboardInterrupt"):
        act(key)
    assert calls(ledger, key) == 1


def test_forked_children_leave_the_guard_to_their_parent(
    start: Start, ledger: Path, key: str, receipts_url: str
) -> None:
    program = start("forks", key)
    said = ended(program)
    assert said[0] == "done"
    assert said[1].startswith("GuardClosed inside: this process was forked while the call ran")
    assert said[2:] == ["parent", *["done"] * 8]
    assert [calls(ledger, one) for one in (key, f"{key}-parent", f"{key}-after")] == [1, 1, 1]
    # The program and each of its children said goodbye, though the program never closed its guard.
    pids = {program.pid, *(int(line.split()[1]) for line in ledger.read_text().splitlines())}
    alive = "SELECT count(*) FROM instances WHERE pid = ANY ($1) AND ended_at IS NULL"
    assert fetch(receipts_url, alive, list(pids)) == 0
    assert fetch(receipts_url, "SELECT count(*) FROM instances WHERE pid = $1", program.pid) == 1
    states = "SELECT array_agg(DISTINCT state) FROM receipts WHERE url LIKE '%/' || $1 || '%'"
    assert fetch(receipts_url, states, key) == ["completed"]


def test_killed_in_a_transaction_nothing_happened(
    start: Start, ledger: Path, key: str, receipts_url: str
) -> None:
    for _ in range(2):
        killed(start("transaction", key))
    assert calls(ledger, key) == 2  # it was called, but nothing of it was committed
    assert fetch(receipts_url, "SELECT to_regclass('moved')") is None
    assert fetch(receipts_url, "SELECT count(*) FROM receipts WHERE url LIKE '%/' || $1", key) == 0
