"""What becomes of a configuration that is read again: what changed, and what of it can be taken over."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from onceproxy.config.model import Settings, every_setting
from onceproxy.config.wording import dotted

# What each request looks up anew. All else is built into parts that live as long as the process.
_LIVE_SECTIONS = frozenset({"mounts", "users", "users_file", "egress", "defaults", "routes", "presets"})
_LIVE_LIMITS = ("request_body",)

Stamp = tuple[int, int, int]
"""By what a file is seen to have changed: inode, time of change (ns), size (bytes)."""


def stamp_of(file: Path) -> Stamp | None:
    """Return a file's stamp, links followed; None if there is none that can be looked at."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def beside(settings: Settings) -> tuple[Stamp | None, ...]:
    """Return the stamps of the files that are read together with the configuration: those of its users."""
    files = [settings.users_file, *(user.password_file for user in settings.users)]
    return tuple(stamp_of(file) for file in files if file is not None)


@dataclass(frozen=True, slots=True)
class Reload:
    """``settings`` are those to go on with. ``changed`` took effect, ``postponed`` needs a restart."""

    settings: Settings
    changed: tuple[str, ...]
    postponed: tuple[str, ...]


def merge(current: Settings, new: Settings) -> Reload:
    """Take over from new settings what can be, and name the rest."""
    changed: list[str] = []
    postponed: list[str] = []
    for key, _ in every_setting():
        if _value(current, key) != _value(new, key):
            (changed if is_live(key) else postponed).append(dotted(key))
    limits = {name: getattr(new.limits, name) for name in _LIVE_LIMITS}
    settings = current.model_copy(
        update={name: getattr(new, name) for name in _LIVE_SECTIONS}
        | {"limits": current.limits.model_copy(update=limits)}
    )
    return Reload(settings, tuple(changed), tuple(postponed))


def is_live(key: tuple[str, ...]) -> bool:
    """Say whether a setting takes effect without a restart."""
    return key[0] in _LIVE_SECTIONS or (key[0] == "limits" and key[1] in _LIVE_LIMITS)


def _value(settings: Settings, key: tuple[str, ...]) -> object:
    value: object = settings
    for name in key:
        value = getattr(value, name)
    return value
