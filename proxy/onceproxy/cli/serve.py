"""`onceproxy serve`: run the proxy until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import click
import structlog
import uvloop

from onceproxy import logs
from onceproxy.cli.errors import startup_errors
from onceproxy.cli.live import keep_live
from onceproxy.cli.settings import Source, settings_options
from onceproxy.config.model import Settings
from onceproxy.config.reload import beside
from onceproxy.reloading import Reloader, tell_warnings
from onceproxy.running import Running, calm_collector, started, stopped
from onceproxy.serve import GRACE, start
from onceproxy.terminal import BottomLine, lines_above
from onceproxy.workers.supervisor import supervise

log = structlog.get_logger("onceproxy")


@click.command()
@settings_options("config", "listen", "insecure_listen", "database", "data_dir", "workers", again=True)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=GRACE,
    show_default=True,
    help="Seconds that requests in flight have to end in at a stop; the rest is put in doubt.",
)
def serve(settings: Settings, source: Source, grace: float) -> None:
    """Run the proxy until SIGTERM or SIGINT; a second one does not wait for what is in flight.

    SIGHUP, or a change of the configuration file, has routes, presets, defaults, mounts and users read again.
    With several workers all of this holds for all of them.

    On a terminal the last line says how many requests there were, and how many actions nobody knows of.
    """
    with (
        lines_above() as bottom,
        startup_errors(),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        logs.configure()
        runner.run(_serve(settings, source, grace, bottom))


async def _serve(settings: Settings, source: Source, grace: float, bottom: BottomLine | None) -> None:
    stop, hurry, again = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def told() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    stamps = source.stamp, beside(settings)  # before the start reads the files of users
    starting: Coroutine[Any, Any, Running] = (
        start(settings) if settings.workers == 1 else supervise(settings, grace)
    )
    proxy = await started(starting, stop, cut_short=settings.database != "embedded")
    if proxy is None:
        return
    if settings.listens_beyond_loopback and not settings.users and settings.users_file is None:
        log.warning(
            "listening-beyond-loopback",
            hint="whoever reaches this port can use the proxy; keep it inside a network that you trust",
        )
    calm_collector()
    click.echo(f"onceproxy ready: proxy {proxy.url}, admin {proxy.admin_url}, database {proxy.database}")
    tell_warnings(settings)
    reloading = asyncio.ensure_future(
        Reloader(settings, source.load, proxy.follow, source.file, stamps, again).run()
    )
    reloading.add_done_callback(_tell_end)
    live = asyncio.ensure_future(keep_live(bottom, proxy.tally)) if bottom is not None else None
    await stop.wait()
    reloading.cancel()
    log.info("stopping", grace=grace, hint="a second signal stops at once")
    await stopped(proxy, grace, hurry)
    if live is not None:
        live.cancel()
        await asyncio.gather(live, return_exceptions=True)


def _tell_end(reloading: asyncio.Future[None]) -> None:
    if not reloading.cancelled() and (error := reloading.exception()) is not None:
        log.error("reloading-ended", exc_info=error, hint="changes of the file take effect at a restart only")
