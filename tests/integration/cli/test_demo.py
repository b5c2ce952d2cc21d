"""`make demo`: the story comes out as told, and it is noticed if it does not."""

from __future__ import annotations

import subprocess
import sys


def play(*changes: str) -> subprocess.CompletedProcess[str]:
    program = "\n".join(["from onceproxy import demo", *changes, "demo.main()"])
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)


def test_the_story_comes_out_as_told() -> None:
    played = play()

    assert played.returncode == 0, played.stdout + played.stderr
    ends = [line for line in played.stdout.splitlines() if line.startswith("  → charges")]
    assert [end[: len("  → charges: 3")] for end in ends] == [f"  → charges: {n}" for n in (3, 1, 1)]
    assert all(end.endswith("[as told]") for end in ends)


def test_another_end_is_noticed() -> None:
    played = play("demo.CLIENT_TIMEOUT = 60.0")  # a client so patient that nobody pays twice

    assert played.returncode == 1
    assert "NOT AS TOLD" in played.stdout
