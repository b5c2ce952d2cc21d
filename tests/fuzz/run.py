"""Fuzz for so many seconds, in rounds of new random inputs: ``make fuzz FUZZ_SECONDS=600``.

It ends at the first round that finds something. What was found is printed in its smallest form, and kept in
build/fuzz: the next round begins with it. When it is mended it becomes an input of the corpus, or an example.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = 500  # of each property in a round: about a minute


def main() -> int:
    """Run rounds; return the exit code of the last."""
    seconds = float(sys.argv[1])
    end = time.monotonic() + seconds
    rounds = 0
    environment = {**os.environ, "ONCEPROXY_FUZZ_EXAMPLES": str(EXAMPLES)}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-x", "-o", "timeout=600"]
    while time.monotonic() < end:
        rounds += 1
        print(f"round {rounds}", flush=True)
        code = subprocess.run([*command, str(Path(__file__).parent)], env=environment, check=False).returncode
        if code:
            return code
    print(f"nothing found in {rounds} rounds of {EXAMPLES} examples of each property")
    return 0


if __name__ == "__main__":
    sys.exit(main())
