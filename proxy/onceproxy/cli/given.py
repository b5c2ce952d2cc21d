"""Requests as they are given on the command line: in parts, as curl takes them, or whole in a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import click

from onceproxy.config.model import Settings
from onceproxy.core.explaining import Asker
from onceproxy.core.hygiene import forwardable
from onceproxy.core.messages import BytesBody, RawHeaders, Request, header_values
from onceproxy.ingress.targets import BadTarget, origin_form, parse_absolute, parse_mounts


@dataclass(frozen=True, slots=True)
class Given:
    """The parts of a request, and the proxy's user."""

    method: str
    url: str
    headers: RawHeaders
    body: bytes
    user: str | None

    @property
    def asker(self) -> Asker:
        """Who asks."""
        actions = header_values(self.headers, "onceproxy-action")
        return Asker(self.user, actions[0] if actions else None)

    def request(self, settings: Settings, option: str) -> Request:
        """Return it as the proxy gets it; ``option`` is where the URL was given.

        Raises:
            click.UsageError: the URL leads nowhere.
        """
        target, headers, body = os.fsencode(self.url), forwardable(self.headers), BytesBody(self.body)
        try:
            if not target.startswith(b"/"):
                origin, path = parse_absolute(target)
                return Request(self.method, origin, path, headers, body)
            for mount in parse_mounts(dict(settings.mounts)):
                if (path_there := mount.resolve(origin_form(target))) is not None:
                    return Request(self.method, mount.origin, path_there, headers, body)
        except BadTarget as error:
            raise click.UsageError(f"{option}: {error}") from None
        raise click.UsageError(
            f"{option}: it must start with http:// or https://, or be a path under a mount"
        )


def headers_of(lines: Iterable[str], option: str) -> RawHeaders:
    """Return headers given as ``Name: value``.

    Raises:
        click.UsageError: one is something else.
    """
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not line.isprintable():
            raise click.UsageError(f"{option} {name}: it must be 'Name: value'")
        headers.append((name.strip().encode("utf-8"), value.strip().encode("utf-8")))
    return tuple(headers)


def body_of(data: str | None, option: str) -> bytes:
    """Return a body given as text, as ``@FILE``, or as ``@-`` for stdin.

    Raises:
        click.UsageError: the file can't be read.
    """
    if data is None:
        return b""
    if data.startswith("@"):
        return _read(data[1:], f"{option} {data}")
    return data.encode("utf-8", "surrogateescape")


def changed(given: Given, url: str | None, headers: RawHeaders, data: str | None, user: str | None) -> Given:
    """Return ``given`` with other parts.

    A header takes the place of its namesakes; an empty one removes them.

    Raises:
        click.UsageError: the body can't be read.
    """
    names = {name.lower() for name, _ in headers}
    kept = tuple(line for line in given.headers if line[0].lower() not in names)
    return replace(
        given,
        url=given.url if url is None else url,
        headers=kept + tuple(line for line in headers if line[1]),
        body=given.body if data is None else body_of(data, "--against-data"),
        user=given.user if user is None else user,
    )


def from_file(name: str, first: Given) -> Given:
    """Return the request that a file holds as HTTP/1.1 writes it; lines may end in LF alone.

    What it does not say is as in the ``first``: the user, and the scheme where only ``Host`` says the host.
    Without ``Content-Length``, a line end that an editor puts at the end is not taken as part of the body.

    Raises:
        click.UsageError: the file can't be read or is no request.
    """
    option = f"--against {name}"
    data = _read(name, option)
    end = min((at for at in (data.find(b"\n\n"), data.find(b"\r\n\r\n")) if at >= 0), default=len(data))
    first_line, *lines = data[:end].decode("utf-8", "surrogateescape").splitlines() or [""]
    body = data[end:].removeprefix(b"\r\n\r\n").removeprefix(b"\n\n")
    method, _, target = first_line.partition(" ")
    target = target.removesuffix(" HTTP/1.1").strip()
    if not method or not target:
        raise click.UsageError(f"{option}: its first line must be METHOD URL")
    headers = headers_of(lines, option)
    if header_values(headers, "transfer-encoding"):
        raise click.UsageError(f"{option}: give the body as it is, without Transfer-Encoding")
    hosts = header_values(headers, "host")
    if target.startswith("/") and hosts:
        scheme = first.url.partition("://")[0] if "://" in first.url else "https"
        target = f"{scheme}://{hosts[0].decode('latin-1')}{target}"
    if not header_values(headers, "content-length"):
        body = body.removesuffix(b"\n").removesuffix(b"\r")
    return Given(method.upper(), target, headers, body, first.user)


def _read(name: str, option: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{option}: can't be read: {error.strerror}") from None
