"""What a configuration means to each part: its rules, limits, keys, doors and names."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import fields

from onceproxy.admin.door import Door
from onceproxy.config.egress import Egress, egress_policy
from onceproxy.config.exposure import Unguarded, who_may_enter
from onceproxy.config.hooks import BadSecret, read_secrets
from onceproxy.config.limits import Limits
from onceproxy.config.load import ConfigError
from onceproxy.config.model import Settings
from onceproxy.config.routing import egress_rules, route_table
from onceproxy.config.wording import dotted
from onceproxy.core.egress import EgressPolicy
from onceproxy.core.routes import Route
from onceproxy.core.users import Users
from onceproxy.hooks.telling import Hook
from onceproxy.ingress.authority import Authority
from onceproxy.ingress.handler import IngressRules
from onceproxy.ingress.limits import ClientLimits
from onceproxy.ingress.targets import parse_absolute, parse_mounts


def doors(settings: Settings) -> tuple[Users, str | None]:
    """Return who may use the proxy, and what opens the admin listener. Raises ``ConfigError``."""
    try:
        return who_may_enter(settings, os.environ)
    except Unguarded as error:
        raise ConfigError([f"{dotted(key)}: {what}" for key, what in error.wrong]) from None


def ingress_rules(settings: Settings, users: Users) -> IngressRules:
    """Return what a configuration says of requests."""
    return IngressRules(
        request_body=settings.limits.request_body,
        routes=route_table(settings),
        mounts=parse_mounts(dict(settings.mounts)),
        users=users,
    )


def check_rules(settings: Settings) -> None:
    """Make sure that a proxy could follow these settings. Raises ``ConfigError``."""
    ingress_rules(settings, doors(settings)[0])
    egress_rules(settings)


def client_limits(limits: Limits) -> ClientLimits:
    """Return what a configuration says of clients' connections: what goes by the same names there."""
    return ClientLimits(**{field.name: getattr(limits, field.name) for field in fields(ClientLimits)})


def admin_door(settings: Settings, token: str | None) -> Door:
    """Return what keeps strangers out of the admin listener; its own name is one that it is known by."""
    return Door(token, (*settings.admin.hosts, settings.admin.listen.host), time.time)


def via_name(settings: Settings, authority: Authority) -> bytes | None:
    """Return what this proxy is called in Via: as configured, or by a name that each local CA gives."""
    if isinstance(settings.via, str):
        return settings.via.encode("ascii")
    # Two of different installations may pass on to one another; and a replay is the same after a restart.
    digest = hashlib.sha256(b"via" + authority.fingerprint.encode("ascii")).hexdigest()
    return f"onceproxy-{digest[:8]}".encode("ascii") if settings.via else None


def hooks_of(settings: Settings) -> list[Hook]:
    """Return who is told of what. Their secrets were looked at when the settings were loaded.

    Raises:
        ConfigError: one of them is not there any more.
    """
    hooks = []
    for at, found in read_secrets(settings.hooks, os.environ):
        if isinstance(found, BadSecret):
            raise ConfigError([f"hooks[{at}].{found.place}: {found}"])
        section = settings.hooks[at]
        origin, target = parse_absolute(section.url.encode("ascii"))
        hooks.append(Hook(origin, target, found, frozenset(section.events)))
    return hooks


def hook_egress(settings: Settings, hooks: Sequence[Hook]) -> EgressPolicy:
    """Return where messages of hooks may go: to the hosts of their URLs, which nobody else chose.

    `egress.deny` holds for them as well, and no name leads them to a link-local address or to a metadata
    service.
    """
    hosts = [f"[{hook.origin.host}]" if ":" in hook.origin.host else hook.origin.host for hook in hooks]
    named = [f"{host}:{hook.origin.port}" for host, hook in zip(hosts, hooks, strict=True)]
    section = Egress(allow=tuple(named), deny=settings.egress.deny, private_networks="allow")
    return egress_policy(section, at_home=False, own_ports=frozenset())


def all_routes(settings: Settings) -> tuple[Route, ...]:
    """Return all routes in the order in which they are tried; the last is for what is left."""
    table = route_table(settings)
    return (*table.routes, table.default)


def route_names(settings: Settings) -> list[str]:
    """Return the names of all routes, in that order."""
    return [route.name for route in all_routes(settings)]


def receipts_url(settings: Settings, admin_url: str) -> str:
    """Return where people find receipts; ``admin_url`` is where the admin listener listens."""
    return f"{(settings.admin.url or admin_url).rstrip('/')}/receipts"
