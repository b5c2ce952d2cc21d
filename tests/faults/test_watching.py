"""`onceproxy receipts watch` as a person runs it: beside a proxy, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from faults.conftest import StartProxy
from processes import forget_who_ignored_signals
from raw_client import post
from upstreams import PATIENCE, Upstream, close


async def test_until_ctrl_c(start_proxy: StartProxy, upstream: Upstream, database_url: str) -> None:
    proxy = await start_proxy()
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "onceproxy", "receipts", "watch", "--json", "--state", "in_doubt"),
        *("--host", "127.0.0.1", "--database", database_url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=forget_who_ignored_signals,
    )
    assert watching.stdout is not None
    assert watching.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            assert await watching.stderr.readline() == b"watching; Ctrl-C ends it\n"
            upstream.will(close)
            unknown = (await post(proxy.url, f"{upstream.url}/lost")).one("Onceproxy-Request-Id")
            line = json.loads(await watching.stdout.readline())
    finally:
        watching.send_signal(signal.SIGINT)
        out, err = await watching.communicate()
    assert (line["request_id"], line["state"]) == (unknown, "in_doubt")
    assert (watching.returncode, out, err) == (0, b"", b"")
