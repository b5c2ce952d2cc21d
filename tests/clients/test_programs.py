"""Programs that know nothing of onceproxy, under `onceproxy run`: one call executes, the next is a replay."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from processes import Run, Start, Told, ended
from upstreams import Upstream

PROGRAMS = Path(__file__).parent / "programs"
BODY = '{"amount": 100, "currency": "eur"}'
PYTHON = ("requests", "httpx", "aiohttp", "urllib")
SHELL = ("curl", "wget")
TWICE = 'for try in 1 2; do "$@" || exit; done'


def command_of(client: str) -> tuple[str, ...]:
    """The command that runs a client's program."""
    if client in PYTHON:
        return (sys.executable, str(PROGRAMS / f"with_{client}.py"))
    if shutil.which(client) is None:
        pytest.skip(f"{client} is not installed")
    return ("sh", str(PROGRAMS / f"with_{client}.sh"))


@pytest.mark.parametrize("client", [*PYTHON, *SHELL])
async def test_a_repeated_call_is_executed_once(client: str, onceproxy_run: Run, upstream: Upstream) -> None:
    command = (*command_of(client), f"{upstream.url}/charges", BODY)
    ended = await onceproxy_run("sh", "-c", TWICE, "sh", *command)
    text = '{"target": "/charges"}'
    assert ended.told == [Told(201, "None", text), Told(201, "true", text)]
    assert upstream.executions == 1
    (seen,) = upstream.requests
    assert (seen.method, seen.target, seen.body) == ("POST", "/charges", BODY.encode())


async def test_another_run_is_another_user_and_a_resumed_one_is_not(
    onceproxy_run: Run, https_upstream: Upstream
) -> None:
    command = (*command_of("requests"), f"{https_upstream.url}/charges", BODY)
    replays = []
    for run_id in ("run-1", "run-2", "run-1"):
        (told,) = (await onceproxy_run(*command, run_id=run_id)).told
        replays.append(told.replayed)
    assert replays == ["None", "None", "true"]
    assert https_upstream.executions == 2


async def test_different_clients_send_the_same_action(onceproxy_run: Run, https_upstream: Upstream) -> None:
    """Headers that a client adds of its own do not make another action."""
    replays = []
    for client in ("curl", "requests", "httpx", "aiohttp", "urllib"):
        command = (*command_of(client), f"{https_upstream.url}/charges", BODY)
        (told,) = (await onceproxy_run(*command)).told
        replays.append(told.replayed)
    assert replays == ["None", *["true"] * 4]
    assert https_upstream.executions == 1


async def test_without_the_proxy_nobody_trusts_the_upstream(start: Start, https_upstream: Upstream) -> None:
    """So no test here can pass by going round the proxy."""
    for client in ("curl", "requests"):
        process = await start(*command_of(client), f"{https_upstream.url}/charges", BODY)
        assert (await ended(process)).code != 0
    assert https_upstream.requests == []
