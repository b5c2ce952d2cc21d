"""From settings to what the admin listener serves besides health and metrics."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from onceproxy.admin.api.handlers import ReceiptsApi
from onceproxy.admin.listener import Counted, Part
from onceproxy.admin.page.handlers import ReceiptsPage
from onceproxy.config.model import Settings
from onceproxy.store.records import Records
from onceproxy.store_setup import database, keyring_of
from onceproxy.wiring import all_routes, route_names


def admin_parts(
    settings: Callable[[], Settings], counted: Counted, parts: AsyncExitStack
) -> tuple[Part, ...]:
    """Return what is served. Connections are made when somebody asks; leaving ``parts`` closes them.

    ``settings``: those that are in force. ``counted``: what ``/metrics`` shows.
    """
    records = Records(partial(database, settings()), keyring_of(settings()))
    parts.push_async_callback(records.close)
    return (
        ReceiptsApi(records, lambda: route_names(settings())),
        ReceiptsPage(records, counted, lambda: all_routes(settings())),
    )
