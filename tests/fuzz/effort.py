"""How hard the fuzzing tries: few examples, always the same ones, in CI; many new ones in ``make fuzz``."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

EXAMPLES = int(os.environ.get("ONCEPROXY_FUZZ_EXAMPLES", "0"))
"""Examples of each property in ``make fuzz``; 0: this is CI."""

FOUND = Path("build/fuzz")
"""Where ``make fuzz`` keeps what failed: it is tried first the next time."""


def effort(examples: int) -> settings:
    """Settings of a property that is tried with so many ``examples`` in CI."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=DirectoryBasedExampleDatabase(FOUND / "examples") if EXAMPLES else None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
