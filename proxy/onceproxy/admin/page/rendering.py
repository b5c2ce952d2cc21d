"""Templates, and what they may call. All that they show is escaped, unless it is a picture of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from onceproxy.admin.page import shown, words
from onceproxy.admin.page.history import Step
from onceproxy.core.states import State
from onceproxy.core.visible import visible
from onceproxy.version import __version__

PAGES = (
    ("/", "Overview"),
    ("/unknown", "Unknown"),
    ("/receipts", "Receipts"),
    ("/routes", "Routes"),
    ("/instances", "Instances"),
)
"""The pages that each page leads to."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is around a page. ``here`` is the path of one of ``pages``; ``proof`` is its csrf token."""

    here: str
    proof: str
    can_log_out: bool = False
    pages: tuple[tuple[str, str], ...] = PAGES
    version: str = __version__


def render(name: str, frame: Frame, values: Mapping[str, Any], *, fragment: bool = False) -> str:
    """Return a page, or the region of it that changes."""
    layout = "fragment.html" if fragment else "base.html"
    around = {"frame": frame, "layout": layout, "now": datetime.now(UTC)}
    return _ENVIRONMENT.get_template(name).render({**values, **around})


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]


def _named(state: State) -> str:
    return words.STATES[state]


def _told(one: Step) -> str:
    if one.count > 1:
        return words.copies(one.event.kind, one.count)
    return words.step(one.event.kind, one.event.attempt, one.event.reason)


def _said(one: Step) -> str:
    """Return what was noted of a step, in the words of whoever noted it."""
    event = one.event
    told_already = event.kind == "replayed" or event.reason in ("operator", "probe")
    parts = (None if told_already else event.reason, event.phase, event.detail)
    return shown.line(" · ".join(part for part in parts if part))


_ENVIRONMENT = Environment(
    loader=PackageLoader("onceproxy.admin.page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters |= {
    "ago": words.ago,
    "duration": words.duration,
    "line": shown.line,
    "named": _named,
    "said": _said,
    "told": _told,
    "utc": _utc,
    "visible": lambda text: visible(text, keep="\n\t"),
}
