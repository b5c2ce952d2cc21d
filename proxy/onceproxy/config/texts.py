"""What the texts in a route must look like; errors say what would be right, and never repeat the value."""

from __future__ import annotations

import re

from onceproxy.config.values import check_host_glob
from onceproxy.core.injection import member_names
from onceproxy.core.jsonpaths import BadJsonPath, compile_path
from onceproxy.core.rules import PROXY_USER, Place, Source
from onceproxy.core.templates import parse_template

MAX_NAME = 64

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_PATH = re.compile(r"/[\x21-\x22\x24-\x3e\x40-\x7e]*")
_MEDIA_TYPE = re.compile(r"[a-z0-9*!#$&^_.+-]+/[a-z0-9*!#$&^_.+-]+")
_PORT = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]+):(?P<port>[0-9]{1,5})")

# What a client can't set, or what the proxy makes anew: no condition on it could ever be met as meant.
_NOT_FORWARDED = frozenset(
    {"connection", "content-length", "host", "proxy-authorization", "te", "transfer-encoding", "upgrade"}
)


def check_route_name(text: str) -> str:
    """Return a route's name.

    Raises:
        ValueError: empty, too long, or with characters that would need quotes at a prompt.
    """
    if not _NAME.fullmatch(text) or len(text) > MAX_NAME:
        raise ValueError(
            f"a name has letters, digits, . _ - and /, at most {MAX_NAME}, as in charges or slack/post"
        )
    if text == "default":
        raise ValueError("default is the name of what no route takes; choose another")
    return text


def check_host(text: str) -> str:
    """Return a glob of hosts, with a port or without.

    Raises:
        ValueError: it is no host.
    """
    split = _PORT.fullmatch(text)
    host = split["host"].strip("[]") if split is not None else text.strip("[]")
    if split is not None and not 1 <= int(split["port"]) <= 65535:
        raise ValueError("the port must be a number from 1 to 65535")
    if "?" in host or ".." in host:
        raise ValueError('* stands for one label or a part of it, ** for any number: "*.example.com"')
    check_host_glob(host)
    _check_stars(host.split("."), "label")
    return text


def check_path_glob(text: str) -> str:
    """Return a glob of paths.

    Raises:
        ValueError: no slash before it, or a query, a fragment, a space or what is not ASCII in it.
    """
    if not _PATH.fullmatch(text):
        raise ValueError(
            "a path starts with a slash and holds no query, fragment or spaces; * is one segment or a part "
            "of one, ** any number: /v1/*/refund or /v1/**; percent-encode what is not ASCII"
        )
    _check_stars(text[1:].split("/"), "segment")
    return text


def check_secret_path(text: str) -> str:
    """Return the beginning of a path whose wildcards are secrets.

    Raises:
        ValueError: no path, one without wildcards, or one whose wildcards could mean several things.
    """
    check_path_glob(text)
    *before, last = text[1:].split("/")
    if (
        "*" not in text
        or "**" in before
        or any(part.count("*") > 1 for part in (*before, last) if part != "**")
    ):
        raise ValueError(
            "what * and ** stand for is hidden: one * in a segment, ** only at the end, as in "
            "/services/**, or /bot* for the first segment"
        )
    return text


def _check_stars(parts: list[str], name: str) -> None:
    if any("**" in part and part != "**" for part in parts):
        raise ValueError(f"** must be a whole {name}; within one, * stands for any characters")


def check_method(text: str) -> str:
    """Return a method.

    Raises:
        ValueError: it is none in capital letters.
    """
    if text == "CONNECT":
        raise ValueError("CONNECT opens a tunnel; name the methods that come inside")
    if not _METHOD.fullmatch(text):
        raise ValueError("it must be a method in capital letters, as in POST")
    return text


def check_media_type(text: str) -> str:
    """Return a glob of media types.

    Raises:
        ValueError: it is none in small letters, or one with parameters.
    """
    if not _MEDIA_TYPE.fullmatch(text):
        raise ValueError(
            "it must be a media type in small letters without parameters, as in application/json or */*+json"
        )
    return text


def check_header_name(text: str) -> str:
    """Return a header's name.

    Raises:
        ValueError: it is no token (RFC 9110 §5.1), or one of a connection's own headers.
    """
    if not _TOKEN.fullmatch(text):
        raise ValueError("it must be a header's name alone, as in Stripe-Account")
    if text.lower() in _NOT_FORWARDED or text.lower().startswith("onceproxy-"):
        raise ValueError(
            "it belongs to the connection with the proxy and is not part of the request upstream"
        )
    return text


def check_name(text: str) -> str:
    """Return the name of a parameter or a field.

    Raises:
        ValueError: it is empty.
    """
    if not text:
        raise ValueError("it must be a name")
    return text


def check_jsonpath(text: str) -> str:
    """Return a JSONPath.

    Raises:
        ValueError: it is none (RFC 9535).
    """
    compile_path(text)
    return text


def check_member_path(text: str) -> str:
    """Return a JSONPath that names one member.

    Raises:
        ValueError: it is none, or one with anything but names in it.
    """
    if member_names(text) is None:
        raise ValueError("it must be a path of names alone, as in $.idempotency_key or $.input.key")
    return text


def parse_source(text: str) -> Source:
    """Read ``header:NAME``, ``query:NAME``, ``form:NAME`` or ``json:PATH``.

    Raises:
        ValueError: it is none of these.
    """
    place, colon, name = text.partition(":")
    if not colon or place not in list(Place):
        raise ValueError(
            "it must be header:NAME, query:NAME, form:NAME or json:PATH, as in header:Stripe-Account"
        )
    _CHECKS[Place(place)](name)
    return Source(Place(place), name)


_CHECKS = {
    Place.HEADER: check_header_name,
    Place.QUERY: check_name,
    Place.FORM: check_name,
    Place.JSON: check_jsonpath,
}


def check_scope(text: str) -> str:
    """Return a part of a scope.

    Raises:
        ValueError: neither ``proxy_user`` nor a place in the request.
    """
    if text != PROXY_USER:
        try:
            parse_source(text)
        except BadJsonPath:
            raise
        except ValueError as error:
            raise ValueError(f"{error}, or {PROXY_USER}") from None
    return text


def check_probe_url(text: str) -> str:
    """Return the template of a probe's URL.

    Raises:
        ValueError: it is no http(s) URL, or a placeholder is none that is known.
    """
    parse_template(text)
    return text
