"""Taking over a changed configuration while requests go on: at SIGHUP, and when the file has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from onceproxy.config.load import ConfigError
from onceproxy.config.model import Settings
from onceproxy.config.reload import Stamp, beside, merge, stamp_of
from onceproxy.config.warnings import warnings

log = structlog.get_logger("onceproxy.config")

Stamps = tuple[Stamp | None, tuple[Stamp | None, ...]]

INTERVAL = 1.0  # seconds between two looks at the file; a stat costs microseconds


class Reloader:
    """Watches a configuration's files, and hands good new settings over; bad ones it only speaks of.

    ``apply`` gets settings whose changes can take effect. ``stamps`` are those of the file and of what is
    ``beside`` it, as they were before they were read. ``asked`` has all of it read again, changed or not.
    """

    def __init__(
        self,
        current: Settings,
        load: Callable[[], Settings],
        apply: Callable[[Settings], None],
        file: Path,
        stamps: Stamps,
        asked: asyncio.Event,
    ) -> None:
        self._current = current
        self._load = load
        self._apply = apply
        self._file = file.absolute()
        self._taken = self._seen = stamps
        self._asked = asked

    async def run(self, interval: float = INTERVAL) -> None:
        """Watch until cancelled, looking at the file every ``interval`` seconds."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._asked.wait()
            await self.run_once()

    async def run_once(self) -> None:
        """Read the configuration again if that was asked for, or if its file changed and has come to rest."""
        stamps = await asyncio.to_thread(self._look)
        # An editor may write in several steps. A file that is gone is about to be replaced, or was moved by
        # mistake; neither is a reason to forget what it said.
        at_rest, self._seen = stamps == self._seen, stamps
        asked = self._asked.is_set()
        self._asked.clear()
        if stamps[0] is None and self._taken[0] is not None:
            if asked:
                _reject([f"{self._file}: there is no such file any more"])
        elif asked or (stamps != self._taken and at_rest):
            self._taken = stamps
            await self._reload()

    def _look(self) -> Stamps:
        return stamp_of(self._file), beside(self._current)

    async def _reload(self) -> None:
        try:
            found = merge(self._current, await asyncio.to_thread(self._load))
            self._apply(found.settings)
        except (ConfigError, ValueError) as error:
            _reject(str(error).splitlines())
            return
        self._current = found.settings
        log.info("config-reloaded", changed=found.changed)
        if found.postponed:
            log.warning(
                "config-needs-restart",
                settings=found.postponed,
                hint="these have changed in the file, and take effect when the proxy is started again",
            )
        tell_warnings(found.settings)


def _reject(problems: list[str]) -> None:
    log.error(
        "config-rejected",
        problems=problems,
        hint="the former configuration stays in force until this one is right",
    )


def tell_warnings(settings: Settings) -> None:
    """Log what is allowed in a configuration and yet hardly meant."""
    for warning in warnings(settings):
        log.warning("config-warning", warning=warning)
