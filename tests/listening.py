"""How servers and callers of the tests listen and call: as those that users of onceproxy get for theirs."""

from __future__ import annotations

from onceproxy.testing.listening import STEPS, Listening, Talk, calling, closed

__all__ = ["STEPS", "Listening", "Talk", "calling", "closed"]
