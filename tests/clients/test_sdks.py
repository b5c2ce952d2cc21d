"""SDKs with retries of their own, as docs/clients.md sets them up: through the proxy, and by a mount."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from processes import Run, Start, Told, ended
from proxies import ProxyProcess
from upstreams import Upstream, answer, close

PROGRAMS = Path(__file__).parent / "programs"
SDKS = ("stripe", "boto3", "openai", "slack_sdk")
TWICE = 'for try in 1 2; do "$@" || exit; done'
# What each of the SDKs takes for an answer of its API.
MADE = answer(
    200,
    b'{"id": "made-1", "MessageId": "made-1", "ts": "made-1", "ok": true, "choices": [], "created": 1, '
    b'"model": "m", "object": "charge"}',
    (("Content-Type", "application/json"),),
)


def command_of(sdk: str, url: str) -> tuple[str, ...]:
    """The command that runs an SDK's program against an API at ``url``."""
    if find_spec(sdk) is None:
        pytest.skip(f"{sdk} is not installed: pip install -e '.[clients]'")
    return (sys.executable, str(PROGRAMS / f"with_{sdk}.py"), url)


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_repeated_call_is_executed_once(
    sdk: str, onceproxy_run: Run, https_upstream: Upstream
) -> None:
    https_upstream.always = MADE
    ended = await onceproxy_run("sh", "-c", TWICE, "sh", *command_of(sdk, https_upstream.url))
    assert ended.told == [Told(200, "None", "made-1"), Told(200, "true", "made-1")]
    assert https_upstream.executions == 1


@pytest.mark.parametrize(
    ("sdk", "status"),  # None: no answer at all, which slack_sdk does not retry
    [*((sdk, 503) for sdk in SDKS), ("stripe", None), ("boto3", None), ("openai", None)],
)
async def test_the_retries_of_a_lost_answer_execute_nothing(
    sdk: str, status: int | None, onceproxy_run: Run, https_upstream: Upstream
) -> None:
    """They get 409 outcome-unknown; an SDK that retries that too gets it again."""
    https_upstream.always = MADE
    https_upstream.will(close if status is None else answer(status))
    (told,) = (await onceproxy_run(*command_of(sdk, https_upstream.url))).told
    assert told.status == 409
    assert "outcome-unknown" in told.text
    assert https_upstream.executions == 1


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_mount_needs_nothing_but_the_base_url(
    sdk: str,
    start: Start,
    tmp_path: Path,
    database_url: str,
    upstream_ca_file: Path,
    https_upstream: Upstream,
) -> None:
    https_upstream.always = MADE
    config = f"tls: {{upstream_ca: '{upstream_ca_file}'}}\nmounts: {{/api: '{https_upstream.url}'}}\n"
    async with ProxyProcess(tmp_path / "data", database_url, config) as proxy:
        command = ("sh", "-c", TWICE, "sh", *command_of(sdk, f"{proxy.url}/api"))
        told = (await ended(await start(*command))).told
    assert told == [Told(200, "None", "made-1"), Told(200, "true", "made-1")]
    assert https_upstream.executions == 1
