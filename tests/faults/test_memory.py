"""Many large answers at once: from the upstream to client, disk and database in pieces, never whole."""

from __future__ import annotations

import os
import time

import asyncpg
import pytest

from faults.conftest import StartProxy
from large_answers import SIZE, LargeAnswers, ask_for_all, digest
from resident import can_tell, forget_peak, peak
from upstreams import Upstream

# `make memory` has 200; fewer take less time, and would still be too much for the limit if they were held.
ANSWERS = int(os.environ.get("ONCEPROXY_LARGE_ANSWERS", "60"))
LIMIT = 500 << 20

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not can_tell(), reason="reads the memory's peak from /proc"),
]


async def test_many_large_answers_at_once_stay_out_of_memory(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    upstream.always = LargeAnswers(ANSWERS)
    proxy = await start_proxy()
    assert proxy.process is not None
    pid = proxy.process.pid
    urls = [f"{upstream.url}/{number}" for number in range(ANSWERS)]
    told = []
    for replayed in (False, True):
        forget_peak(pid)
        began = time.monotonic()
        answers = await ask_for_all(proxy.url, urls)
        told.append(f"{peak(pid) >> 20} MiB in {time.monotonic() - began:.0f} s")
        for target, got, was_replay in answers:
            assert (got, was_replay) == (digest(target), replayed)
        assert peak(pid) < LIMIT
    print(f"{ANSWERS} x {SIZE >> 20} MiB: sent {told[0]}, replayed {told[1]}")
    assert upstream.executions == ANSWERS
    assert await database.fetchval("SELECT count(*) FROM receipts WHERE state = 'completed'") == ANSWERS
