"""Who may use the proxy, and how one that asks proves to be who it says."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from onceproxy.core.passwords import DEFAULT_COST, DIGEST, PasswordHash, Secret

# A name ends at the first colon (RFC 7617 §2), and clients differ in how they encode what is not ASCII: two
# users could become one.
_NAME = re.compile(r"[!-9;-~]{1,255}")


def check_user_name(text: str) -> str:
    """Return the name of a user.

    Raises:
        ValueError: it can't be one for every client.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(
            "a user's name must be 1 to 255 visible ASCII characters, none of them a colon or a space"
        )
    return text


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks. ``secret`` is what proved it; None where nobody is asked, and ``user`` is just a name."""

    user: str | None
    secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class Users:
    """The users, and what each proves itself by. Without any, everybody may use the proxy.

    ``key`` is random; by it is chosen what is done for names that are no user's.
    """

    secrets: Mapping[str, Secret] = field(default_factory=dict)
    key: bytes = field(default=b"", repr=False)

    @property
    def asked(self) -> bool:
        """Whether one has to be a user."""
        return bool(self.secrets)

    def holds(self, login: Login) -> bool:
        """Say whether a login still holds: its user is there, and proves itself by what it did."""
        if not self.asked:
            return True
        return login.secret is not None and self.secrets.get(login.user or "") == login.secret

    def check(self, name: str, password: str) -> Login | None:
        """Return the login of a user that gives its password, else None. Slow: not for the event loop.

        One hash is made, whether there is such a user or not and however its password is kept, so that the
        time does not tell.
        """
        secret = self.secrets.get(name)
        hashed = secret if isinstance(secret, PasswordHash) else self._decoy(name)
        right = hashed.matches(password)
        if secret is not None and secret is not hashed:
            right = secret.matches(password)
        return Login(name, secret) if secret is not None and right else None

    def _decoy(self, name: str) -> PasswordHash:
        """Return a hash of nothing, as dear as that of some user: for one name always the same."""
        costs = [one.cost for one in self.secrets.values() if isinstance(one, PasswordHash)]
        chosen = hmac.new(self.key, name.encode("utf-8"), hashlib.sha256).digest()
        cost = costs[int.from_bytes(chosen[:8], "big") % len(costs)] if costs else DEFAULT_COST
        return PasswordHash(cost, chosen[:16], bytes(DIGEST))


EVERYBODY = Users()
"""No users: whoever reaches the proxy may use it, under any name."""
