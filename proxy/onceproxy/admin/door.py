"""Who gets into the admin listener, and what a browser may do there in somebody's name.

Pure decisions over what a request says; ``application`` carries them out. A program shows the token with each
request. A person's browser shows it once, and gets a session in a cookie, signed by a key that this process
made for itself: a restart ends all sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

SESSION = 12 * 3600  # seconds that a browser stays in
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]*)?")
_OUR_PAGES = frozenset({"same-origin", "none"})  # of Sec-Fetch-Site; none: a person typed the address


class Refusal(Enum):
    """Why a request goes no further: status, title, and what would be right."""

    HOST = (
        403,
        "The listener is not known under this name",
        "Ask it as localhost or by its address, or list the name under admin.hosts: a name that is not known "
        "may be another site's, which means this address for an hour (DNS rebinding).",
    )
    FOREIGN = (
        403,
        "Another site may change nothing here",
        "The request was made by a page of another site. Use a page of this listener, or no browser.",
    )
    NO_TOKEN = (
        401,
        "The token is needed",
        "Send Authorization: Bearer TOKEN, with the token that admin.token_env or admin.token_file holds.",
    )
    NO_PROOF = (
        403,
        "The page's proof is missing",
        "A change in a session needs the page's csrf token, in the header X-CSRF-Token or the form's field "
        "csrf_token. Load the page again.",
    )

    def __init__(self, status: int, title: str, detail: str) -> None:
        self.status = status
        self.title = title
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Knock:
    """What of a request decides whether it is let in. ``proof`` is the csrf token that it brings."""

    method: str
    host: str
    origin: str | None = None
    fetch_site: str | None = None
    authorization: str | None = None
    session: str | None = None
    proof: str | None = None


class Door:
    """Decides. ``token`` None: nobody is asked for one. ``hosts`` are further names, as globs.

    ``clock`` gives seconds since the epoch.
    """

    def __init__(self, token: str | None, hosts: tuple[str, ...], clock: Callable[[], float]) -> None:
        self._token = None if token is None else _digest(token)
        self._hosts = tuple(host.lower() for host in hosts)
        self._clock = clock
        self._key = secrets.token_bytes(32)

    @property
    def asks(self) -> bool:
        """Whether a token is needed."""
        return self._token is not None

    def refusal(self, knock: Knock) -> Refusal | None:
        """Say why a request may not come in; None where it may."""
        if (refused := self.stranger(knock)) is not None:
            return refused
        if self._token is None or self._shows_token(knock.authorization):
            return None
        if not self.valid(knock.session):
            return Refusal.NO_TOKEN
        if knock.method not in SAFE and not self._proves(knock):
            return Refusal.NO_PROOF
        return None

    def stranger(self, knock: Knock) -> Refusal | None:
        """Say whether a request comes from another site's page, by what only a browser can't make up."""
        host = _HOST.fullmatch(knock.host)
        if host is None or not self._is_ours(host["six"] or host["name"]):
            return Refusal.HOST
        if knock.method in SAFE:
            return None
        foreign = knock.origin is not None and knock.origin.partition("://")[2].lower() != knock.host.lower()
        if foreign or (knock.fetch_site is not None and knock.fetch_site not in _OUR_PAGES):
            return Refusal.FOREIGN
        return None

    def is_token(self, text: str) -> bool:
        """Say whether a text is the token, in a time that does not tell how much of it is."""
        return self._token is not None and hmac.compare_digest(self._token, _digest(text))

    def session(self) -> str:
        """Return the value of a new session's cookie: until when, a random part, and the signature."""
        content = f"{int(self._clock()) + SESSION}.{secrets.token_urlsafe(18)}"
        return f"{content}.{self._sign('session', content)}"

    def valid(self, session: str | None) -> bool:
        """Say whether a cookie is one of ours, and its time not over."""
        content, _, signature = (session or "").rpartition(".")
        until = content.partition(".")[0]
        if not hmac.compare_digest(self._sign("session", content).encode(), signature.encode()):
            return False
        return int(until) > self._clock()

    def proof(self, session: str) -> str:
        """Return the csrf token for the pages of a session: no other site can read it."""
        return self._sign("csrf", session)

    def _proves(self, knock: Knock) -> bool:
        expected = self.proof(knock.session or "")
        return hmac.compare_digest(expected.encode(), (knock.proof or "").encode())

    def _shows_token(self, authorization: str | None) -> bool:
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(token.strip())

    def _is_ours(self, name: str) -> bool:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            name = name.lower()
            return name == "localhost" or any(fnmatchcase(name, host) for host in self._hosts)
        return True  # no name server decides on an address

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
