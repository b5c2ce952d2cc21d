"""What single texts of the configuration must look like; errors say what would be right.

No error repeats its value: it may hold a password. ``wording`` decides what may be shown.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import platformdirs

from onceproxy.config.units import parse_duration, parse_size

EMBEDDED = "embedded"

Amount = TypeVar("Amount", int, float)

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PSEUDONYM = re.compile(r"[A-Za-z0-9._-]{1,64}(:[0-9]{1,5})?")
_ANSWERS = frozenset({"yes", "no", "on", "off", "none", "null"})  # text to YAML 1.2, and surely not meant so
_HOST_GLOB = re.compile(r"[A-Za-z0-9_.*?-]+")


def refuse_boolean(value: object) -> object:
    """Return anything but a boolean: to Python, ``true`` is a 1.

    Raises:
        ValueError: it is a boolean.
    """
    if isinstance(value, bool):
        raise ValueError("it must be 1")
    return value


def read_boolean(value: object) -> object:
    """Return a boolean of the environment, which holds texts only; anything else as it is."""
    return (
        {"true": True, "1": True, "false": False, "0": False}.get(value, value)
        if isinstance(value, str)
        else value
    )


def read_number(value: object) -> object:
    """Return a whole number of the environment or a flag, which hold texts only; anything else as it is."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


def check_database(text: str) -> str:
    """Return a database setting.

    Raises:
        ValueError: neither ``embedded`` nor a URL of Postgres.
    """
    if text == EMBEDDED:
        return text
    if not re.match(r"postgres(ql)?://", text, re.IGNORECASE):
        raise ValueError("it must be embedded or a URL, as in postgresql://user:password@host:5432/name")
    # A raw / ? # or @ in a password silently makes another URL of it.
    authority, *tail = re.split("[/?#]", text.partition("://")[2], maxsplit=1)
    if "#" in text or "@" in "".join(tail) or authority.count("@") > 1:
        raise ValueError(
            "in a user name or password of the URL, write @ as %40, / as %2F, ? as %3F, # as %23 "
            "(percent-encoded)"
        )
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("the URL must hold no spaces and only ASCII; percent-encode what is else")
    return text


def check_database_url(text: str) -> str:
    """Return a database that is not the embedded one.

    Raises:
        ValueError: no URL of Postgres.
    """
    if text == EMBEDDED:
        raise ValueError("it must be a URL, as in postgresql://user:password@host:5432/name")
    return check_database(text)


def read_path(value: object) -> Path:
    """Return a path, ``~`` expanded.

    Raises:
        ValueError: no text, or not one that can be a path.
    """
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("it must be a path; put it in quotes if YAML takes it for something else")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("there is no such home directory; write the whole path") from None


def read_path_or_none(value: object) -> Path | None:
    """Return a path, if there is one.

    Raises:
        ValueError: it can't be a path.
    """
    return None if value is None else read_path(value)


def read_data_dir(value: object) -> Path:
    """Return the data directory; none stands for the platform's.

    Raises:
        ValueError: it can't be a directory.
    """
    directory = default_data_dir() if value is None else read_path(value)
    if os.path.exists(directory) and not os.path.isdir(directory):  # unlike Path's, these never raise
        raise ValueError("there is a file of that name; it must be a directory, which is made if missing")
    return directory


def default_data_dir() -> Path:
    """Return the platform's directory for the user's data."""
    return Path(platformdirs.user_data_dir("onceproxy"))


def read_upstream_ca(value: object) -> Path | None:
    """Return the PEM file of further roots, if there is one.

    Raises:
        ValueError: there is no such file.
    """
    if value is None:
        return None
    path = read_path(value)
    if not os.path.isfile(path):
        raise ValueError("there is no such file; it must be a PEM file with root certificates, or null")
    return path


def read_pem_file(value: object) -> Path:
    """Return a PEM file.

    Raises:
        ValueError: there is no such file.
    """
    path = read_path(value)
    if not os.path.isfile(path):
        raise ValueError("there is no such file; it must be a PEM file")
    return path


def read_pem_file_or_none(value: object) -> Path | None:
    """Return a PEM file, if there is one.

    Raises:
        ValueError: there is no such file.
    """
    return None if value is None else read_pem_file(value)


def read_list(value: object) -> object:
    """Return a YAML list as the tuple that a frozen model holds; anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def read_via(value: object) -> bool | str:
    """Return whether there is a name for Via, or the name.

    Raises:
        ValueError: it is neither a token nor a host with a port (RFC 9110 §7.6.3), or a word for yes or no.
    """
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or not _PSEUDONYM.fullmatch(value) or value.lower() in _ANSWERS:
        raise ValueError("it must be true, false, or a name of letters, digits and . - _, as in eu-gateway-1")
    return value


def check_host_glob(text: str) -> str:
    """Return a pattern of host names.

    Raises:
        ValueError: it is no host: a URL, a port, or characters that no host has.
    """
    if _HOST_GLOB.fullmatch(text):
        return text
    try:
        return ipaddress.IPv6Address(text).compressed
    except ValueError:
        raise ValueError(
            "it must be a host without scheme, port and path, * and ? for any characters, "
            'as in "*.example.com"; international names in their xn-- form'
        ) from None


def check_mount_prefix(text: str) -> str:
    """Return the path prefix of a mount.

    Raises:
        ValueError: no slash before it, one after it, or characters that a plain path does not have.
    """
    if not _PREFIX.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise ValueError(
            "the prefix must start with a slash and not end with one, as in /stripe or /hooks/github "
            "(letters, digits, . _ ~ -)"
        )
    return text


def check_mount_url(text: str) -> str:
    """Return the upstream of a mount.

    Raises:
        ValueError: no absolute http(s) URL, or one with user, query or fragment.
    """
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise ValueError("it must be http(s)://host[:port][/path], the port from 1 to 65535") from None
    if parts.scheme not in ("http", "https") or not text.lower().startswith(f"{parts.scheme}://"):
        raise ValueError("it must be http(s)://host[:port][/path]")
    if "@" in parts.netloc:
        raise ValueError("it must hold no user name or password; clients send their own credentials")
    if "?" in text or "#" in text:
        raise ValueError("it must end with its path, without query (?) and fragment (#)")
    # As it is written: what stands before or behind the brackets of an IPv6 address is in no part of the URL.
    written = re.escape(f"[{host}]" if ":" in host else host) + "(:[0-9]+)?"
    whole = re.fullmatch(written, parts.netloc, re.IGNORECASE) is not None
    if not _PRINTABLE.fullmatch(text) or not _is_host(host) or port == 0 or not whole:
        raise ValueError(
            "it must be http(s)://host[:port][/path] in plain ASCII; international names in their xn-- form"
        )
    return text


def _is_host(host: str) -> bool:
    if ":" in host or re.search(r"(^|\.)([0-9]+|0x[0-9a-f]*)\.?$", host):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return "%" not in host
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in labels)


def lasting(least: str, most: str) -> Callable[[float], float]:
    """Return a check that a duration is in a range."""
    return _within(least, most, parse_duration)


def sized(least: str, most: str) -> Callable[[int], int]:
    """Return a check that a size is in a range."""
    return _within(least, most, parse_size)


def counted(least: int, most: int) -> Callable[[object], object]:
    """Return a check that something is a whole number in a range."""

    def check(value: object) -> object:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"it must be a whole number from {least} to {most}")
        return value

    return check


def _within(least: str, most: str, parse: Callable[[str], Amount]) -> Callable[[Amount], Amount]:
    low, high = parse(least), parse(most)

    def check(amount: Amount) -> Amount:
        if not low <= amount <= high:
            raise ValueError(f"it must be from {least} to {most}")
        return amount

    return check
