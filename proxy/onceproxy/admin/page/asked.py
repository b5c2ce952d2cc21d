"""What is asked for of the list of receipts: the fields of its form, as filters and as links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from urllib.parse import urlencode

from onceproxy.admin.api.cursors import cursor_of, place_of
from onceproxy.core.states import State
from onceproxy.store.records import Filters, Place

TIMES = (
    ("", "any"),
    ("15m", "last 15 min"),
    ("1h", "last hour"),
    ("24h", "last 24 h"),
    ("7d", "last 7 days"),
)
"""The choices of a time, and what they are called."""

_BACK = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
_LONGEST = 255  # characters of a field


@dataclass(frozen=True, slots=True)
class Wanted:
    """The fields as they were filled in; empty: any. ``since`` is one of the choices."""

    state: str = ""
    route: str = ""
    host: str = ""
    scope: str = ""
    since: str = ""
    text: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """Read them; a choice that there is none like is any."""
        given = {field.name: query.get(field.name, "").strip()[:_LONGEST] for field in fields(cls)}
        # Postgres has no text with it.
        given = {name: value.replace("\0", "") for name, value in given.items()}
        if given["state"] not in list(State):
            given["state"] = ""
        if given["since"] not in _BACK:
            given["since"] = ""
        return cls(**given)

    def filters(self, now: datetime) -> Filters:
        """Return what the records are asked for."""
        return Filters(
            state=State(self.state) if self.state else None,
            route=self.route or None,
            host=self.host or None,
            scope=self.scope or None,
            text=self.text or None,
            since=now - _BACK[self.since] if self.since else None,
        )

    @property
    def given(self) -> dict[str, str]:
        """Those that were filled in."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value}

    def link(self, after: Place | None = None) -> str:
        """Return the address of the list, from a place on."""
        given = self.given | ({"cursor": cursor_of(after)} if after is not None else {})
        return "/receipts" + (f"?{urlencode(given)}" if given else "")


def place(cursor: str) -> Place | None:
    """Return the place that a link named; None: from the newest on. Raises ``ValueError``."""
    return place_of(cursor) if cursor else None
