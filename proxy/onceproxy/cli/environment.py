"""The variables that point a program at the proxy and make it trust the local CA. Values in, values out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
"""Variables that replace a program's roots: they get the system's and ours together."""
EXTRA_VARIABLE = "NODE_EXTRA_CA_CERTS"
"""The variable that adds to Node's roots."""
SHELLS = ("sh", "fish", "powershell")

# urllib, requests and Node's undici send no credentials where the password is missing or empty, and all runs
# would share one scope.
PASSWORD = "run"  # noqa: S105 - it guards nothing
# A user name ends at the first colon in Basic authentication (RFC 7617 §2), and clients differ in how they
# encode what is not ASCII: two runs could become one.
_RUN_ID = re.compile(r"[!-9;-~]{1,255}")
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - where a client finds who listens there


def check_run_id(run_id: str) -> str:
    """Return ``run_id``.

    Raises:
        ValueError: it can't be a user name for every client.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError("it must be 1 to 255 visible ASCII characters, none of them a colon or a space")
    return run_id


def client_url(proxy_url: str, user: str | None = None, password: str | None = PASSWORD) -> str:
    """Return the URL by which a program on this machine reaches the proxy.

    Args:
        proxy_url: where the proxy listens; the address may be one that means all of them.
        user: whose receipts the program gets; a run's id where the proxy has no users.
        password: the user's; None leaves it out.
    """
    parts = urlsplit(proxy_url)
    host = _LOOPBACK.get(parts.hostname or "")
    where = f"{host}:{parts.port}" if host else parts.netloc
    if user is None:
        return f"{parts.scheme}://{where}"
    secret = "" if password is None else f":{quote(password, safe='')}"
    return f"{parts.scheme}://{quote(check_run_id(user), safe='')}{secret}@{where}"


def roots_named_in(current: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files and directories of roots (a corporate CA) that programs have been told to trust."""
    named = (current.get(variable) for variable in (*BUNDLE_VARIABLES, EXTRA_VARIABLE))
    return tuple(dict.fromkeys(Path(value) for value in named if value))


def proxy_environment(
    proxy_url: str, bundle_path: Path, ca_cert_path: Path, current: Mapping[str, str]
) -> dict[str, str | None]:
    """Return the variables to change; None stands for one to unset. What is not named stays as it is.

    Args:
        proxy_url: where the program finds the proxy.
        bundle_path: all roots it should trust: the system's, those of ``roots_named_in``, and our CA.
        ca_cert_path: our CA's certificate.
        current: the environment so far.
    """
    changes: dict[str, str | None] = {}
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        changes[name] = changes[name.lower()] = proxy_url
    # Some clients prefer it, and it may name a proxy of another kind.
    changes["ALL_PROXY"] = changes["all_proxy"] = None
    changes.update(dict.fromkeys(BUNDLE_VARIABLES, str(bundle_path)))
    # Node adds to its roots rather than replacing them, so ours alone will do, unless others were added.
    has_others = current.get(EXTRA_VARIABLE, "") not in ("", str(ca_cert_path))
    changes[EXTRA_VARIABLE] = str(bundle_path if has_others else ca_cert_path)
    changes["NODE_USE_ENV_PROXY"] = "1"  # Node looks at the proxy variables only when told to
    return changes


def apply_changes(changes: Mapping[str, str | None], current: Mapping[str, str]) -> dict[str, str]:
    """Return ``current`` with the variables set and unset."""
    merged: dict[str, str | None] = {**current, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def format_environment(changes: Mapping[str, str | None], shell: str) -> str:
    """Return the lines by which a shell, one of ``SHELLS``, makes the changes."""
    write = {"sh": _sh, "fish": _fish, "powershell": _powershell}[shell]
    return "\n".join(write(name, value) for name, value in changes.items())


def _sh(name: str, value: str | None) -> str:
    return f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str | None) -> str:
    if value is None:
        return f"set -e {name}"
    return f"set -gx {name} '" + re.sub(r"([\\'])", r"\\\1", value) + "'"


def _powershell(name: str, value: str | None) -> str:
    if value is None:
        return f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
    # PowerShell takes typographic quotes for quotes; each is written twice to stand for itself.
    return f"$Env:{name} = '" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", value) + "'"
