"""Clients that retry by themselves: whatever becomes of the first answer, the upstream executes once."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from processes import Run, Start, Told, ended
from upstreams import Behaviour, Upstream, after, answer, close, raw, reset

PROGRAMS = Path(__file__).parent / "programs"
BODY = '{"amount": 100}'
GENEROUS = "60"
CUT = raw(b"HTTP/1.1 201 Made\r\nContent-Length: 100\r\n\r\nhalf")


def retrying(client: str, url: str, seconds: str) -> tuple[str, ...]:
    """The command of a client that tries again after each try that fails or takes longer than ``seconds``."""
    if client == "urllib3":
        return (sys.executable, str(PROGRAMS / "with_urllib3_retry.py"), url, BODY, seconds)
    program = str(PROGRAMS / "with_curl.sh")
    return ("sh", program, url, BODY, "--retry", "50", "--retry-delay", "1", "--max-time", seconds)


async def gave_up(process: asyncio.subprocess.Process, tries: int) -> None:
    """Wait until a client has said on stderr that it gave up so many tries."""
    assert process.stderr is not None
    async for line in process.stderr:
        tries -= b"Incremented Retry" in line or b"Will retry" in line
        if not tries:
            return
    raise AssertionError("the client ended before it gave up")


@pytest.mark.parametrize("client", ["urllib3", "curl"])
@pytest.mark.parametrize("loses", [close, reset, CUT, answer(503)], ids=["close", "reset", "cut", "503"])
async def test_a_lost_answer_is_never_asked_for_again(
    client: str, loses: Behaviour, onceproxy_run: Run, https_upstream: Upstream
) -> None:
    """The proxy can't know, and says so: the retry gets 409, not another execution."""
    https_upstream.will(loses)
    ended = await onceproxy_run(*retrying(client, f"{https_upstream.url}/charges", GENEROUS))
    (told,) = ended.told
    problem = json.loads(told.text)
    assert (told.status, problem["type"]) == (409, "urn:onceproxy:problem:outcome-unknown")
    assert https_upstream.executions == 1


@pytest.mark.parametrize("client", ["urllib3", "curl"])
async def test_an_answer_that_comes_after_the_client_gave_up_is_the_retrys(
    client: str, start: Start, onceproxy_command: tuple[str, ...], https_upstream: Upstream
) -> None:
    gate = asyncio.Event()
    https_upstream.will(after(gate, answer(201)))
    command = retrying(client, f"{https_upstream.url}/charges", "2")
    process = await start(*onceproxy_command, *command)
    await https_upstream.arrived(1)
    await gave_up(process, tries=2)  # on a busy machine the first may not have come as far as the upstream
    gate.set()
    told = (await ended(process)).told
    assert told == [Told(201, "true", '{"target": "/charges"}')]
    assert https_upstream.executions == 1


async def test_a_call_that_was_turned_away_is_sent_again(
    onceproxy_run: Run, https_upstream: Upstream
) -> None:
    """A 429 proves that nothing happened, so a client's retry may execute."""
    https_upstream.will(answer(429))
    command = ("sh", str(PROGRAMS / "with_curl.sh"), f"{https_upstream.url}/charges", BODY)
    ended = await onceproxy_run("sh", "-c", '"$@"; "$@"; "$@"', "sh", *command)
    assert [(told.status, told.replayed) for told in ended.told] == [
        (429, "None"),
        (201, "None"),
        (201, "true"),
    ]
    assert https_upstream.executions == 2
