"""Who asks: the user and password of ``Proxy-Authorization: Basic`` (RFC 7617), where there are users.

A check is slow on purpose. What was found is remembered under a keyed digest, so that a user pays once, and
whoever tries a wrong password in a loop costs nothing; few checks run at a time, and few wait.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from typing import cast

import structlog
from aiohttp import web

from onceproxy.core.canonical import pack
from onceproxy.core.messages import RawHeaders, has_none, header_values
from onceproxy.core.problems import ProblemType
from onceproxy.core.users import Login, Users
from onceproxy.ingress.client_connection import ClientConnection
from onceproxy.ingress.incoming import Refused, raw_headers

log = structlog.get_logger("onceproxy.ingress")

CHECKS = 2  # at a time: each takes a core for a tenth of a second, and 16 MiB or more
WAITING = 200  # different logins under way; they are through in some ten seconds
NOBODY = Login(None)  # that we know of

REMEMBERED = 10_000  # right ones, and as many wrong ones, at 100 bytes

_CREDENTIALS = frozenset({b"proxy-authorization"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_SEND_THEM = (
    "Send user and password: http://USER:PASSWORD@HOST:PORT as the proxy's URL, or the header "
    "Proxy-Authorization: Basic …"
)


class Unreadable(ValueError):
    """``Proxy-Authorization`` can't be read; the text says what would be right."""


class Logins:
    """Lets those in who may use the proxy. ``before``: what knew of the users as they were, and gives way."""

    def __init__(self, users: Users, before: Logins | None = None) -> None:
        self.users = users
        self._right: OrderedDict[bytes, Login] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._checks: dict[bytes, asyncio.Task[Login | None]] = {}
        if before is None:
            self._key = secrets.token_bytes(32)
            self._places = asyncio.Semaphore(CHECKS)
        else:
            self._key, self._places = before._key, before._places
            self._right.update((digest, one) for digest, one in before._right.items() if users.holds(one))

    def admit_at_once(self, request: web.BaseRequest) -> Login | None:
        """Return who sends a request: in a tunnel, who opened it. None: it has to be proved.

        Raises:
            Refused: it is no user any more, or its ``Proxy-Authorization`` can't be read.
        """
        tunnel = cast(ClientConnection, request.protocol).tunnel
        if tunnel is not None:
            if not self.users.holds(tunnel.login):
                raise Refused(
                    ProblemType.PROXY_AUTH_REQUIRED,
                    "The user who opened this tunnel may not use the proxy any more, or has another password "
                    "by now. Open another tunnel, with the password that is valid.",
                )
            return tunnel.login
        if self.users.asked:
            return None
        given = self._given(request)
        return NOBODY if given is None else Login(given[0] or None)

    async def admit(self, request: web.BaseRequest) -> Login:
        """Return who sends a request and proves it.

        Raises:
            Refused: it is no user, or its ``Proxy-Authorization`` can't be read.
        """
        given = self._given(request)
        if given is None:
            raise Refused(ProblemType.PROXY_AUTH_REQUIRED, f"This proxy asks who you are. {_SEND_THEM}.")
        login = await self.login(*given)
        if login is None:
            log.info("login-refused", user=given[0] if given[0] in self.users.secrets else None)
            raise Refused(
                ProblemType.PROXY_AUTH_REQUIRED,
                f"There is no such user, or the password is another one. {_SEND_THEM}.",
            )
        return login

    def _given(self, request: web.BaseRequest) -> tuple[str, str] | None:
        try:
            return credentials(raw_headers(request))
        except Unreadable as error:
            kind = ProblemType.PROXY_AUTH_REQUIRED if self.users.asked else ProblemType.BAD_REQUEST
            raise Refused(kind, f"Proxy-Authorization: {error}.") from None

    async def login(self, name: str, password: str) -> Login | None:
        """Return the login of a user with this password; None where there is no such user.

        Raises:
            Refused: too many are being checked.
        """
        digest = hmac.new(self._key, pack([name.encode(), password.encode()]), hashlib.sha256).digest()
        if (known := self._right.get(digest)) is not None:
            self._right.move_to_end(digest)
            return known
        if digest in self._wrong:
            self._wrong.move_to_end(digest)
            return None
        check = self._checks.get(digest)
        if check is None:
            if len(self._checks) >= WAITING:
                raise Refused(
                    ProblemType.OVERLOADED,
                    "Too many logins are being checked. Retry later: it is safe.",
                    retry_after=1,
                )
            check = asyncio.get_running_loop().create_task(self._check(digest, name, password))
            self._checks[digest] = check
        # Others may wait for the same check, and its result is worth having when this client has left.
        return await asyncio.shield(check)

    async def _check(self, digest: bytes, name: str, password: str) -> Login | None:
        try:
            async with self._places:
                login = await asyncio.to_thread(self.users.check, name, password)
        finally:
            del self._checks[digest]
        if login is not None:
            self._right[digest] = login
        else:
            self._wrong[digest] = None
        for remembered in (self._right, self._wrong):
            if len(remembered) > REMEMBERED:
                remembered.popitem(last=False)
        return login


def credentials(headers: RawHeaders) -> tuple[str, str] | None:
    """Return user and password of ``Proxy-Authorization: Basic`` (RFC 7617); None where there are none.

    Raises:
        Unreadable: they are something else.
    """
    if has_none(headers, _CREDENTIALS):
        return None
    values = header_values(headers, "proxy-authorization")
    scheme, _, token = values[0].strip().partition(b" ")
    if len(values) > 1 or scheme.lower() != b"basic":
        raise Unreadable("only one, and only Basic, is understood; send user and password so")
    try:
        text = base64.b64decode(token.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise Unreadable("send base64 of user:password in UTF-8 after Basic") from None
    if _CONTROL.search(text):
        raise Unreadable("user and password may hold no control characters")
    name, _, password = text.partition(":")
    return name, password
