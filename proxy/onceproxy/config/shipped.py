"""The presets that come with onceproxy: routes for well-known APIs, one file an API.

The files are in /config/presets of the repository, and beside this module where it is installed.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import Field

from onceproxy.config.document import read_document
from onceproxy.config.fields import Many, Section
from onceproxy.config.routes import RouteSection

_SUFFIX = ".yaml"


class Preset(Section):
    """What a preset's file holds."""

    about: str = Field(description="What it is for, in one line.")
    routes: Many[RouteSection] = Field(description="Its routes, tried in this order.")


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    return tuple(sorted(path.stem for path in _directory().glob(f"*{_SUFFIX}")))


@cache
def load_preset(name: str) -> Preset:
    """Return a preset that there is."""
    return Preset.model_validate(read_document(preset_file(name)).values)


def preset_file(name: str) -> Path:
    """Return the file of a preset that there is."""
    return _directory() / f"{name}{_SUFFIX}"


def check_preset(text: str) -> str:
    """Return a preset's name.

    Raises:
        ValueError: there is none of that name.
    """
    names = preset_names()
    if text not in names:
        close = difflib.get_close_matches(text.lower(), names, n=1)
        hint = f"did you mean {close[0]}? There" if close else "there"
        raise ValueError(f"there is no such preset; {hint} are {', '.join(names)}")
    return text


def _directory() -> Path:
    # A wheel is always unpacked here: the package has files of SQL that are read likewise.
    return Path(str(resources.files("onceproxy.config") / "presets"))
