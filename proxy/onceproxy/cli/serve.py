"""`onceproxy serve`: run the proxy until it is told to stop."""

from __future__ import annotations

import asyncio
import signal

import click
import structlog
import uvloop

from onceproxy import logs
from onceproxy.cli.errors import startup_errors
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.serve import GRACE, start

log = structlog.get_logger("onceproxy")


@click.command()
@settings_options("config", "listen", "database", "data_dir")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=GRACE,
    show_default=True,
    help="Seconds that requests in flight have to end in at a stop; the rest is put in doubt.",
)
def serve(settings: Settings, grace: float) -> None:
    """Run the proxy until SIGTERM or SIGINT; a second one does not wait for what is in flight."""
    logs.configure()
    with startup_errors(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, grace))


async def _serve(settings: Settings, grace: float) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()

    def told() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    proxy = await start(settings)
    if settings.listens_beyond_loopback:
        log.warning(
            "listening-beyond-loopback",
            hint="whoever reaches this port can use the proxy; keep it inside a network that you trust",
        )
    click.echo(f"onceproxy ready: proxy {proxy.url}, admin {proxy.admin_url}, database {proxy.database}")
    await stop.wait()
    log.info("stopping", grace=grace, hint="a second signal stops at once")
    stopping = asyncio.ensure_future(proxy.stop(grace))
    hurried = asyncio.ensure_future(hurry.wait())
    await asyncio.wait({stopping, hurried}, return_when=asyncio.FIRST_COMPLETED)
    if hurried.done():
        log.warning("stopping-now", hint="what is in flight is put in doubt")
        proxy.hurry()
    hurried.cancel()
    await stopping
