"""A count of effects that outlives the processes that have them: for functions, workers and jobs."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Effects:
    """A file with a line for each effect. May be written by any number of processes at once."""

    path: Path

    def happen(self, what: str) -> None:
        """Count an effect. ``what`` is one line, and short: a line is written in one piece."""
        if "\n" in what:
            raise ValueError("an effect is one line")
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{what}\n".encode())
        finally:
            os.close(file)

    @property
    def counts(self) -> Counter[str]:
        """How often each effect happened."""
        return Counter(self.path.read_text("utf-8").splitlines() if self.path.exists() else ())
