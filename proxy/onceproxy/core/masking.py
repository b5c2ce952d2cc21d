"""What of a URL may be shown and stored, and which names stand for a secret: the one place that decides it.

Identity is made from the whole request; this is for what people and databases see of it. Queries are never
shown. In a path the secrets are hidden that webhooks and bot APIs carry there, what looks like a well-known
kind of token, and what the route names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from onceproxy.core.canonical import canonical_escapes
from onceproxy.core.globs import REST, Text
from onceproxy.core.messages import Request

MASK = "***"

SHORT = 200  # bytes of a path whose masked form is remembered: clients ask for the same few again and again

_SECRET_NAME = re.compile(
    "auth|bearer|cookie|credential|jwt|key|pass|pwd|secret|session|signature|token"
    # short ones only whole: "sig" is in "design"
    "|^(?:code|cvc|cvv|otp|pin|sas|sig)$",
    re.IGNORECASE,
)

# What vendors put in front of their tokens, so that scanners find them where they should not be.
_TOKEN = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"  # JWT
    r"|(?:sk|rk)_(?:live|test)_\w+|whsec_[\w+/=]+|sk-[\w-]{20,}"
    r"|gh[a-z]_\w{16,}|github_pat_\w+|gl[a-z]{2,4}-[\w-]{20,}"
    r"|xox[a-z]-[\w-]+|xapp-[\w-]+|shp[a-z]{2}_\w+"
    r"|SG\.[\w-]{10,}\.[\w-]{10,}|AIza[\w-]{30,}|key-[0-9a-f]{32}|hf_\w{20,}|npm_\w{20,}"
    r"|\d{6,}:[\w-]{30,}"  # Telegram
)

# A segment of one of these names says what the next one is.
_NAMES_THE_NEXT = frozenset(
    {"access_token", "api-key", "api_key", "apikey", "key", "passwd", "password", "secret", "token"}
)

# Hosts (all, where there is none) and the beginnings of paths whose wildcards are secrets.
_KNOWN = (
    ("hooks.slack.com", ("/services/**", "/triggers/**", "/workflows/**")),
    ("hooks.slack-gov.com", ("/services/**", "/triggers/**", "/workflows/**")),
    ("*discord.com", ("/api/webhooks/*/*", "/api/v*/webhooks/*/*", "/api/v*/interactions/*/*")),
    ("*discordapp.com", ("/api/webhooks/*/*", "/api/v*/webhooks/*/*", "/api/v*/interactions/*/*")),
    ("api.telegram.org", ("/bot*", "/file/bot*")),
    ("*webhook.office.com", ("/webhookb2/**",)),
    ("outlook.office.com", ("/webhook/**",)),
    ("hooks.zapier.com", ("/hooks/**",)),
    ("hook*.make.com", ("/*",)),
    ("open.feishu.cn", ("/open-apis/bot/v2/hook/*",)),
    ("open.larksuite.com", ("/open-apis/bot/v2/hook/*",)),
    ("", ("/services/T*/B*/*",)),
)


@dataclass(frozen=True, slots=True)
class SecretRules:
    """What a route hides besides what is always hidden.

    ``paths`` are beginnings of paths whose wildcards are hidden: ``*`` is one segment or a part of one (one
    in each segment), ``**`` at the end is all the rest. ``query`` and ``headers`` are names, in any case.
    """

    paths: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


NOTHING_MORE = SecretRules()


def is_secret_name(name: str, more: tuple[str, ...] = ()) -> bool:
    """Say whether the value of this name (a header, a parameter, a member) is kept from view."""
    return _SECRET_NAME.search(name) is not None or name.lower() in {one.lower() for one in more}


def masked_text(text: str) -> str:
    """Return a text without what looks like a well-known kind of token."""
    return _TOKEN.sub(MASK, text)


def shown_url(request: Request, rules: SecretRules = NOTHING_MORE) -> str:
    """Return a request's URL for people and for receipts: without its query, secrets in the path hidden."""
    return str(request.origin) + masked_path(request.origin.host, request.path, rules)


def masked_path(host: str, path: bytes, rules: SecretRules = NOTHING_MORE) -> str:
    """Return a path (without its query) for people and receipts: needless escapes and secrets taken off."""
    return (_masked if len(path) <= SHORT else _masked.__wrapped__)(host, path, rules.paths)


@lru_cache(maxsize=2048)
def _masked(host: str, path: bytes, more: tuple[str, ...]) -> str:
    segments = canonical_escapes(path).decode("latin-1").split("/")
    shown = [_segment(segment) for segment in segments]
    for before, (at, segment) in zip(segments, enumerate(segments[1:], 1), strict=False):
        if segment and before.lower() in _NAMES_THE_NEXT:
            shown[at] = MASK
    for pattern in (*_known(host), *more):
        for at, masked in _hidden_by(pattern, segments):
            # What two rules hide in one segment is hidden whole: each would show what the other hides.
            shown[at] = masked if shown[at] in (segments[at], masked) else MASK
    return "/".join(shown)


def _segment(segment: str) -> str:
    """Mask tokens, and the values of matrix parameters (RFC 3986 §3.3) with the names of secrets."""
    first, *parameters = segment.split(";")
    pairs = [(name, equals, value) for name, equals, value in (one.partition("=") for one in parameters)]
    named = [
        f"{name}={MASK}" if equals and is_secret_name(name) else name + equals + value
        for name, equals, value in pairs
    ]
    return masked_text(";".join((first, *named)))


def _known(host: str) -> Iterator[str]:
    for pattern, paths in _KNOWN:
        if not pattern or Text(pattern).matches(host):
            yield from paths


def _hidden_by(pattern: str, segments: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the segments of which a pattern hides something, and what is left; none if it does not match."""
    wanted = pattern.removeprefix("/").split("/")
    there = [at for at, segment in enumerate(segments) if segment]  # a doubled slash is no way around it
    found: list[tuple[int, str]] = []
    for place, one in enumerate(wanted):
        if one == REST:
            found += [(at, MASK) for at in there[place:]]
            break
        if place >= len(there):
            return
        before, star, after = one.partition("*")
        segment = segments[there[place]]
        if not star:
            if segment != one:
                return
        elif (
            len(segment) >= len(before) + len(after)
            and segment.startswith(before)
            and segment.endswith(after)
        ):
            found.append((there[place], before + MASK + after))
        else:
            return
    yield from found
