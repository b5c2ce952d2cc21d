"""Rules about destinations that can never decide anything, and settings that lead where nothing may go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from onceproxy.config.model import Settings
from onceproxy.config.routing import egress_rules
from onceproxy.core.egress import Entry, Way
from onceproxy.core.globs import covers


def unreached(settings: Settings) -> Iterator[str]:
    """Yield what the egress policy makes pointless."""
    policy, section = egress_rules(settings), settings.egress
    for at, entry in enumerate(policy.allow):
        if (by := _covering(policy.deny, entry)) is not None:
            yield (
                f"egress.allow[{at}] ({section.allow[at]}) never allows anything: "
                f"egress.deny[{by}] ({section.deny[by]}) forbids all of it"
            )
    for name, entries, texts in (
        ("allow", policy.allow, section.allow),
        ("deny", policy.deny, section.deny),
    ):
        for at, entry in enumerate(entries):
            if (by := _covering(entries[:at], entry)) is not None:
                yield f"egress.{name}[{at}] ({texts[at]}) is in egress.{name}[{by}] ({texts[by]}) already"
    for prefix, url in settings.mounts.items():
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        verdict = policy.judge_name(parts.hostname or "", port, Way.HTTP)
        if not verdict.allowed:
            yield (
                f"mounts.{prefix} leads to {parts.hostname}:{port}, which the egress rule {verdict.rule} "
                f"forbids: {verdict.words}"
            )
    for at, glob in enumerate(settings.tls.passthrough):
        if "*" in glob or "?" in glob:
            continue
        verdicts = [policy.judge_name(glob, ports[0], Way.TUNNEL) for ports in policy.tunnel_ports]
        if verdicts and not any(verdict.allowed for verdict in verdicts):
            yield (
                f"tls.passthrough[{at}] ({glob}) is never reached: the egress rule {verdicts[0].rule} "
                f"forbids it: {verdicts[0].words}"
            )


def _covering(entries: Sequence[Entry], narrow: Entry) -> int | None:
    """Return the first entry that surely takes all that another one does."""
    for at, wide in enumerate(entries):
        if wide.port in (None, narrow.port) and (_takes_hosts(wide, narrow) or _takes_network(wide, narrow)):
            return at
    return None


def _takes_hosts(wide: Entry, narrow: Entry) -> bool:
    return wide.hosts is not None and narrow.hosts is not None and covers(wide.hosts, narrow.hosts)


def _takes_network(wide: Entry, narrow: Entry) -> bool:
    one, other = wide.network, narrow.network
    if one is None or other is None or one.version != other.version:
        return False
    return one[0] <= other[0] and other[-1] <= one[-1]  # type: ignore[operator]  # of one version
