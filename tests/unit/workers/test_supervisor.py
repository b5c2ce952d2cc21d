"""What a supervisor decides without any worker."""

from __future__ import annotations

from itertools import islice

import pytest

from onceproxy.config.load import ConfigError
from onceproxy.config.model import Settings
from onceproxy.workers import supervisor
from onceproxy.workers.process import WorkerFailed
from onceproxy.workers.supervisor import LONGEST_PAUSE, supervise


def test_a_worker_that_dies_young_is_started_at_once_and_then_ever_later() -> None:
    pauses = list(islice(supervisor._pauses(), 12))

    assert pauses[:4] == [0.0, 0.5, 1.0, 2.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


async def test_where_a_port_can_not_be_shared_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "SPREADS", False)

    with pytest.raises(ConfigError, match="workers: only Linux"):
        await supervise(Settings(workers=2))


@pytest.mark.parametrize(
    ("returncode", "code", "said_why", "words"),
    [(2, 2, True, "ended"), (1, 1, True, "ended"), (0, 1, False, "ended"), (-9, 1, False, "signal 9")],
)
def test_what_is_said_of_a_worker_that_could_not_start(
    returncode: int, code: int, said_why: bool, words: str
) -> None:
    failed = WorkerFailed(returncode)

    assert (failed.code, failed.said_why) == (code, said_why)
    assert words in str(failed)
