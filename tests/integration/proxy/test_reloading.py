"""A changed configuration, in a proxy that is a process of its own."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from onceproxy.core.passwords import Cost, PasswordHash
from proxies import ProxyProcess
from raw_client import a_request, connected, post
from upstreams import Upstream

HEAD = "version: 1\nadmin: {listen: '127.0.0.1:0'}\n"
PASS = "routes: [{name: pass, match: {path: /pass}, guard: false}]\n"

HASH = str(PasswordHash.of("pw", b"0123456789abcdef", Cost(14, 8, 1)))

StartProcess = Callable[..., Awaitable[ProxyProcess]]


@pytest.fixture
async def start_process(database_url: str, tmp_path: Path) -> AsyncIterator[StartProcess]:
    """Starts one proxy with a configuration, and stops it at the end."""
    started: list[ProxyProcess] = []

    async def start_one(config: str = "", **settings: Any) -> ProxyProcess:
        started.append(ProxyProcess(tmp_path / "data", database_url, config, **settings))
        await started[-1].start()
        return started[-1]

    yield start_one
    for proxy in started:
        if proxy.runs:
            await proxy.stop()


def configure(proxy: ProxyProcess, text: str) -> None:
    """Replace the file as a careful editor does."""
    new = proxy.data_dir / "new.yaml"
    new.write_text(HEAD + text)
    os.replace(new, proxy.data_dir / "onceproxy.yaml")


def hang_up(proxy: ProxyProcess) -> None:
    assert proxy.process is not None
    proxy.process.send_signal(signal.SIGHUP)


async def told(proxy: ProxyProcess, event: str, words: str = "") -> dict[str, Any]:
    """Wait for an event in the log; return its members."""
    await proxy.says(f'"event": "{event}"')
    await proxy.says(words)
    line = next(line for line in proxy.log if f'"event": "{event}"' in line and words in line)
    members: dict[str, Any] = json.loads(line)
    return members


async def guards(proxy: ProxyProcess, upstream: Upstream) -> bool:
    return bool((await post(proxy.url, f"{upstream.url}/pass")).all("Onceproxy-Request-Id"))


async def test_a_signal_has_it_read_again(start_process: StartProcess, upstream: Upstream) -> None:
    proxy = await start_process()
    assert await guards(proxy, upstream)

    configure(proxy, PASS)
    hang_up(proxy)
    reloaded = await told(proxy, "config-reloaded", "routes")

    assert reloaded["changed"] == ["routes"]
    assert not await guards(proxy, upstream)


async def test_a_change_of_the_file_is_seen(start_process: StartProcess, upstream: Upstream) -> None:
    proxy = await start_process(PASS)
    assert not await guards(proxy, upstream)

    configure(proxy, "")
    await told(proxy, "config-reloaded")

    assert await guards(proxy, upstream)


async def test_a_bad_file_changes_nothing_and_is_told_with_file_line_and_key(
    start_process: StartProcess, upstream: Upstream
) -> None:
    proxy = await start_process(PASS)

    configure(proxy, "mounts: {/x: y}\nroutes: [{nam: x}]\n")
    hang_up(proxy)
    rejected = await told(proxy, "config-rejected")

    file = proxy.data_dir / "onceproxy.yaml"
    assert rejected["level"] == "error"
    assert [problem.partition(": ")[0] for problem in rejected["problems"]] == [f"{file}:3"] + [
        f"{file}:4"
    ] * 3
    assert not await guards(proxy, upstream)

    configure(proxy, "")
    hang_up(proxy)
    await told(proxy, "config-reloaded")
    assert await guards(proxy, upstream)


async def test_a_file_that_is_gone_is_not_forgotten(start_process: StartProcess, upstream: Upstream) -> None:
    proxy = await start_process(PASS)

    (proxy.data_dir / "onceproxy.yaml").unlink()
    hang_up(proxy)
    await told(proxy, "config-rejected", "there is no such file any more")

    assert not await guards(proxy, upstream)


async def test_what_needs_a_restart_is_told(start_process: StartProcess, upstream: Upstream) -> None:
    proxy = await start_process()

    configure(proxy, "tls: {intercept: false}\nlimits: {connect_timeout: 3s}\n" + PASS)
    hang_up(proxy)
    waiting = await told(proxy, "config-needs-restart")

    assert waiting["settings"] == ["tls.intercept", "limits.connect_timeout"]
    assert not await guards(proxy, upstream), "the rest has taken effect"


async def test_what_the_command_line_set_stays_set(start_process: StartProcess, upstream: Upstream) -> None:
    proxy = await start_process()

    configure(proxy, "listen: 127.0.0.1:1\ndatabase: embedded\n" + PASS)
    hang_up(proxy)
    await told(proxy, "config-reloaded")

    assert not any("config-needs-restart" in line for line in proxy.log)


async def test_a_route_that_can_not_be_reached_is_told(start_process: StartProcess) -> None:
    proxy = await start_process("routes: [{name: a, match: {path: /**}}, {name: b, match: {path: /x}}]\n")

    warning = await told(proxy, "config-warning")

    assert "(b) is never reached" in warning["warning"]


async def test_a_request_under_way_ends_under_the_rules_it_began_with(
    start_process: StartProcess, upstream: Upstream
) -> None:
    # A route that asks for the body has all of them looked through again when it is there.
    asks = "routes: [{name: asks, match: {path: /**, json: {$.x: 1}}}]\n"
    proxy = await start_process(f"mounts: {{/old: '{upstream.url}/v1'}}\n{asks}")
    async with connected(proxy.url) as client:
        request = a_request("POST", "/old/pay", "Expect: 100-continue", body=b"amount=100")
        await client.send(request.removesuffix(b"amount=100"))
        assert (await client.reply()).status == 100  # it has its rules, and waits for the body

        configure(proxy, "routes: [{name: off, match: {path: /**}, guard: false}]\n")
        hang_up(proxy)
        await told(proxy, "config-reloaded")
        assert (await post(proxy.url, "/old/pay")).status == 400

        await client.send(b"amount=100")
        reply = await client.reply()

    assert (reply.status, reply.body) == (201, b'{"target": "/v1/pay"}')
    assert reply.told["state"] == "completed"
    assert upstream.executions == 1


async def test_a_change_of_the_file_of_users_is_seen(
    start_process: StartProcess, upstream: Upstream, tmp_path: Path
) -> None:
    file = tmp_path / "users"
    file.write_text(f"ann:{HASH}\n")
    proxy = await start_process(f"users_file: {file}\n")
    ann = "Proxy-Authorization: Basic " + base64.b64encode(b"ann:pw").decode()
    assert (await post(proxy.url, f"{upstream.url}/x", ann)).status == 201

    file.write_text("ann:nonsense\n")
    await told(proxy, "config-rejected", f"{file}:1: ")
    assert (await post(proxy.url, f"{upstream.url}/x", ann)).status == 201

    file.write_text(f"bob:{HASH}\n")
    await told(proxy, "config-reloaded")
    assert (await post(proxy.url, f"{upstream.url}/x", ann)).status == 407
