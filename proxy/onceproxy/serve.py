"""The composition root: the one place that knows all the parts and joins them."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from onceproxy.admin.listener import AdminListener
from onceproxy.admin.metrics import Metrics
from onceproxy.admin_setup import admin_parts
from onceproxy.config.model import Settings
from onceproxy.config.routing import egress_rules
from onceproxy.core.passwords import PlainPassword
from onceproxy.guard.draining import Draining
from onceproxy.guard.guard import Guard
from onceproxy.guard.room import Room
from onceproxy.hooks import telling
from onceproxy.hooks.telling import Teller
from onceproxy.ingress.authority import Authority
from onceproxy.ingress.leaves import LeafCerts
from onceproxy.ingress.listener import Listener
from onceproxy.listening import listen
from onceproxy.signals import watching
from onceproxy.signals.measuring import MeasuredExecute, MeasuredStore
from onceproxy.signals.ports import Tracer
from onceproxy.signals.signals import Signals
from onceproxy.store.periodic import Periodic
from onceproxy.store.postgres import PostgresStore
from onceproxy.store_setup import guard_limits, keyring_of, open_store, spool_of
from onceproxy.tls_setup import ca_directory, credential_of, local_authority, upstream_tls
from onceproxy.tracing import tracer_from
from onceproxy.upstream import posting
from onceproxy.upstream.client import UpstreamClient, UpstreamSettings
from onceproxy.upstream.egress import Gate
from onceproxy.upstream.tls import UpstreamTls
from onceproxy.wiring import (
    admin_door,
    client_limits,
    doors,
    hook_egress,
    hooks_of,
    ingress_rules,
    receipts_url,
    via_name,
)

log = structlog.get_logger("onceproxy")

GRACE = 30.0  # seconds that executions have to end in at a stop
LAST_WORDS = 2.0  # seconds for responses that are being written when everything else has ended


@dataclass(frozen=True, slots=True)
class Guest:
    """A user of one proxy, for as long as it runs; takes the place of one of the same name."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's place: the port that it shares, and the admin listener of its supervisor."""

    port: int
    admin_url: str


class Proxy:
    """A running proxy. ``url`` is where clients find it, ``admin_url`` where health is told."""

    def __init__(
        self,
        settings: Settings,
        store: PostgresStore,
        guard: Guard,
        listener: Listener,
        upstream: UpstreamClient,
        authority: Authority,
        metrics: Metrics,
        parts: AsyncExitStack,
    ) -> None:
        self.settings = settings
        self.tally = metrics.tally
        self._guard = guard
        self._store = store
        self._stopping = False
        self.bury_the_dead = store.bury_the_dead
        self.authority = authority
        self._listener = listener
        self._upstream = upstream
        self._parts = parts
        self.url = ""
        self.admin_url = ""
        self.database = ""
        self.ca_directory = Path()

    def ready(self) -> bool:
        """Say whether guarded requests can be served: not without the database, and not while it stops."""
        return self._store.may_send() and not self._stopping

    async def stop(self, grace: float = GRACE) -> None:
        """Take no more requests, let those in flight end within ``grace`` seconds, and let go of all."""
        self._stopping = True
        self._listener.stop_listening()
        await self._guard.stop(grace)
        await self._listener.close(LAST_WORDS)
        await self._parts.aclose()

    def follow(self, settings: Settings) -> None:
        """Treat the requests that come from now on as ``settings`` say; those under way keep their rules.

        What is built into the parts, such as ports and the database, stays as it was.

        Raises:
            ConfigError: these settings would let strangers in.
        """
        self._listener.follow(ingress_rules(settings, doors(settings)[0]))
        self.settings = settings
        self.follow_egress(settings)

    def follow_egress(self, settings: Settings) -> None:
        """Let requests go where ``settings`` say, and never to the ports that this proxy listens on."""
        ports = (urlsplit(url).port or 80 for url in (self.url, self.admin_url))
        self._upstream.follow(egress_rules(settings, ports))

    def hurry(self) -> None:
        """Cut short the grace of a stop under way."""
        self._guard.hurry()

    async def __aenter__(self) -> Proxy:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def start(
    settings: Settings,
    guest: Guest | None = None,
    place: Place | None = None,
    tracer: Tracer | None = None,
) -> Proxy:
    """Start a proxy; when this returns it serves. ``guest`` is a user besides those of the configuration.

    ``place``: it is one of several workers, and has no admin listener of its own. ``tracer`` traces requests;
    None: the environment says who does.

    Raises:
        ConfigError: it would let strangers in.
        PortTaken: a port can't be listened on.
        StoreError: the database can't be used.
        AuthorityError: the local CA can't be used.
        BadTlsFile: a file that ``tls`` names can't be used.
    """
    users, token = doors(settings)
    if guest is not None:
        users = replace(users, secrets={**users.secrets, guest.name: PlainPassword(guest.password)})
    async with AsyncExitStack() as parts:
        authority = await asyncio.to_thread(local_authority, settings)
        metrics = Metrics()
        tracer = tracer or tracer_from(os.environ)
        if tracer is not None:
            parts.push_async_callback(asyncio.to_thread, tracer.close)
        room = Room(settings.limits.memory, settings.limits.temporary, metrics.limit_hit)
        keyring = keyring_of(settings)
        store = await open_store(
            settings,
            parts,
            room,
            keyring,
            kind=PostgresStore,
            batched=metrics.batch,
            cache_hit=metrics.receipt_cache_hit,
        )
        tls = await asyncio.to_thread(upstream_tls, settings)
        upstream = UpstreamClient(
            UpstreamSettings(
                connect_timeout=settings.limits.connect_timeout,
                response_timeout=settings.limits.upstream_timeout,
                max_head=settings.limits.header,
                room=room,
            ),
            tls,
            Gate(egress_rules(settings), metrics),
        )
        parts.push_async_callback(upstream.aclose)
        spool = spool_of(settings, store, keyring)
        guard = Guard(
            MeasuredStore(store, metrics.requests),
            MeasuredExecute(upstream, metrics.requests),
            guard_limits(settings.limits),
            spool=spool,
            meter=metrics,
        )
        draining = Draining(store, spool, metrics)
        # Before the first copy comes, and after nobody can come any more.
        await draining.start()
        parts.push_async_callback(draining.stop)
        levels = watching.LevelWatch(
            store.doubts, spool.depth, metrics.levels, metrics.requests, every=watching.EVERY
        )
        await levels.start()
        parts.push_async_callback(levels.stop)
        listener = Listener(
            guard,
            upstream,
            LeafCerts(
                authority,
                max_entries=settings.limits.certificates,
                per_minute=settings.limits.certificates_per_minute,
                hit=metrics.limit_hit,
            ),
            partial(credential_of, store.credential_key, tls),
            ingress_rules(settings, users),
            intercept=settings.tls.opened,
            meter=metrics,
            passthrough=tuple(settings.tls.passthrough),
            limits=client_limits(settings.limits),
            hit=metrics.limit_hit,
            via=via_name(settings, authority),
            room=room,
            signals=Signals(metrics.requests, tracer),
        )
        proxy = Proxy(settings, store, guard, listener, upstream, authority, metrics, AsyncExitStack())
        if settings.hooks:
            _start_telling(settings, store, tls, metrics, proxy, parts)
        if place is None:
            metrics.show_ready(proxy.ready)
            shown = admin_parts(lambda: proxy.settings, metrics, parts)
            admin = AdminListener(proxy.ready, metrics, admin_door(settings, token), shown)
            parts.push_async_callback(admin.close)
            proxy.admin_url = await listen(admin, settings.admin.listen, "admin.listen")
            proxy.url = await listen(listener, settings.listen, "listen")
        else:
            proxy.admin_url = place.admin_url
            listener.share_port()
            proxy.url = await listen(listener, replace(settings.listen, port=place.port), "listen")
        proxy.follow_egress(settings)  # by now it is known which ports were picked
        proxy.database = "embedded" if settings.database == "embedded" else "external"
        proxy.ca_directory = ca_directory(settings)
        # From here on the parts are the proxy's to close.
        proxy._parts.push_async_callback(parts.pop_all().aclose)
        return proxy


def _start_telling(
    settings: Settings,
    store: PostgresStore,
    tls: UpstreamTls,
    metrics: Metrics,
    proxy: Proxy,
    parts: AsyncExitStack,
) -> None:
    hooks = hooks_of(settings)
    # Not the clients' one: where messages go was chosen by whoever runs the proxy.
    client = UpstreamClient(
        UpstreamSettings(response_timeout=posting.PATIENCE, idle_timeout=0.0),
        tls,
        Gate(hook_egress(settings, hooks), metrics),
    )
    teller = Teller(
        hooks,
        store.outbox,
        posting.Poster(client),
        metrics,
        lambda: receipts_url(settings, proxy.admin_url),
    )
    periodic = Periodic("telling hooks", teller.run_once, telling.EVERY)
    parts.push_async_callback(client.aclose)
    parts.push_async_callback(periodic.stop)
    parts.push_async_callback(teller.stop)
    periodic.start()
