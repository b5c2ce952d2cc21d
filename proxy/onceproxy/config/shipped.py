"""The presets that come with onceproxy: routes for well-known APIs, one file an API."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import resources

DIRECTORY = resources.files("onceproxy.config") / "presets"


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    if not DIRECTORY.is_dir():
        return ()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in DIRECTORY.iterdir()))


def check_preset(text: str) -> str:
    """Return a preset's name.

    Raises:
        ValueError: there is none of that name.
    """
    names = preset_names()
    if text not in names:
        close = difflib.get_close_matches(text.lower(), names, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ValueError(f"there is no such preset; {hint}There are: {', '.join(names)}")
    return text
