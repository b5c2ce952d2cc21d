"""What is allowed and yet hardly meant."""

from __future__ import annotations

from collections.abc import Iterator

from onceproxy.config.hooks import goes_in_clear
from onceproxy.config.model import Settings
from onceproxy.config.routing import OWN, route_table
from onceproxy.config.unreached import unreached
from onceproxy.core.policies import InDoubt
from onceproxy.core.shadows import shadows


def warnings(settings: Settings) -> Iterator[str]:
    """Yield what a person should know of settings that are valid."""
    routes = route_table(settings).routes
    for route in routes:
        if route.identity.any_credential and route.policy.in_doubt in (InDoubt.RESEND, InDoubt.PROBE):
            yield (
                f"{route.origin} ({route.name}) has credential: any and in_doubt: {route.policy.in_doubt}; "
                "a copy with another account's credential would go to where the first one never was"
            )
    for route, earlier in shadows(routes):
        if route.origin.startswith(OWN) or not earlier.origin.startswith(OWN):
            yield (
                f"{route.origin} ({route.name}) is never reached: {earlier.name} comes before it and takes "
                "all that it matches; put the narrower one first"
            )
        # A route of the file that takes the place of a preset's is what the order is for.
    for at, hook in enumerate(settings.hooks):
        if goes_in_clear(hook):
            yield (
                f"hooks[{at}].url begins with http://, so whoever is on the way reads what is told, though "
                "nobody can change it; take https"
            )
    yield from unreached(settings)
