"""Who can reach the listeners, and whether that is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onceproxy.config.document import KeyPath
from onceproxy.config.given_secrets import given_secret
from onceproxy.config.model import Settings
from onceproxy.config.users import UnusableUsers, read_users
from onceproxy.core.users import EVERYBODY, Users

LEAST_TOKEN = 16  # characters; nobody types it

_INSECURE = (
    "or, in a network where everybody may do that, say insecure_listen: true (--insecure-listen, "
    "ONCEPROXY_INSECURE_LISTEN=true)"
)


class Unguarded(ValueError):
    """What is to keep strangers out is not there. ``wrong`` has the keys, and what is wrong there."""

    def __init__(self, wrong: list[tuple[KeyPath, str]]) -> None:
        super().__init__("; ".join(what for _, what in wrong))
        self.wrong = wrong


def who_may_enter(settings: Settings, environ: Mapping[str, str]) -> tuple[Users, str | None]:
    """Return the users of the proxy and the token of the admin listener.

    Raises:
        Unguarded: they can't be read, or a listener that other machines can reach has none.
    """
    wrong: list[tuple[KeyPath, str]] = []
    users, token = EVERYBODY, None
    try:
        users = read_users(settings.users, settings.users_file, environ)
        if settings.users_file is not None and not users.asked:
            wrong.append((("users_file",), "has no user in it; add one with `onceproxy passwd NAME`"))
    except UnusableUsers as error:
        wrong += error.wrong
    try:
        token = admin_token(settings, environ)
    except ValueError as error:
        place = "token_env" if settings.admin.token_env is not None else "token_file"
        wrong.append((("admin", place), str(error)))
    wrong += _open_doors(settings)
    if wrong:
        raise Unguarded(wrong)
    return users, token


def admin_token(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Return the token of the admin listener; None where there is none.

    Raises:
        ValueError: it is not where it should be, or no good.
    """
    token = given_secret(settings.admin.token_env, settings.admin.token_file, environ)
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
        raise ValueError(f"the token must be {LEAST_TOKEN} ASCII characters or more; take random ones")
    return token


def _open_doors(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    if settings.insecure_listen:
        return
    if not settings.listen.is_loopback and not settings.users and settings.users_file is None:
        yield (
            ("listen",),
            "other machines can reach it, and nobody is asked who they are; name users, listen on loopback "
            f"(127.0.0.1:{settings.listen.port}), {_INSECURE}",
        )
    admin = settings.admin
    if not admin.listen.is_loopback and admin.token_env is None and admin.token_file is None:
        yield (
            ("admin", "listen"),
            "other machines can reach it, and nobody is asked for a token; set admin.token_env or "
            f"admin.token_file, listen on loopback (127.0.0.1:{admin.listen.port}), {_INSECURE}",
        )
