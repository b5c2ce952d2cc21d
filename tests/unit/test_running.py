"""What runs until it is told to stop: its garbage collector."""

from __future__ import annotations

import gc

from onceproxy.running import calm_collector


def test_what_was_there_at_the_start_is_not_looked_through() -> None:
    before = gc.get_threshold()
    try:
        calm_collector()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
