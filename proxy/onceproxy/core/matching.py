"""Which requests a route is for: conditions on the head and, where a route has them, on the body.

Where a name is there more than once (a header line, a parameter, what a JSONPath selects), all of its values
must fit: a request that says two things must not slip through a rule that was made for one of them. And a
body that can't be read without doubt fits no condition on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from onceproxy.core.contents import Content
from onceproxy.core.globs import Text, Tokens, host_tokens, path_tokens, tokens_match
from onceproxy.core.jsonpaths import TooDeep, select
from onceproxy.core.masking import MASK, NOTHING_MORE, SecretRules, is_secret_name, masked_path
from onceproxy.core.messages import Request, header_values

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Condition:
    """A name (a JSONPath for JSON), and the values that fit. Texts are globs; None fits what is absent."""

    name: str
    values: tuple[Scalar, ...]

    def fits(self, found: list[Any]) -> bool:
        """Say whether values that were found fit, all of them."""
        if not found:
            return None in self.values
        return all(any(_fits(value, one) for value in self.values) for one in found)


@dataclass(frozen=True, slots=True)
class HostGlob:
    """A glob of hosts, and a port where only one is meant."""

    tokens: Tokens
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> HostGlob:
        """Read ``*.example.com``, ``localhost:3000``, ``::1`` or ``[::1]:3000``."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
            return cls(host_tokens(text.strip("[]")))
        return cls(host_tokens(host.strip("[]")), int(port))


@dataclass(frozen=True, slots=True)
class Check:
    """How one kind of condition of a route went, for people: what was ``wanted``, and ``found``."""

    what: str
    wanted: str
    found: str
    met: bool


@dataclass(frozen=True, slots=True)
class Match:
    """The conditions of a route; all must be met, and none at all is met by every request.

    ``hosts``, ``paths``, ``methods`` and ``media_types``: one of them; empty is any. ``paths`` are globs.
    """

    hosts: tuple[HostGlob, ...] = ()
    paths: tuple[str, ...] = ()
    methods: frozenset[str] = frozenset()
    media_types: tuple[str, ...] = ()
    headers: tuple[Condition, ...] = ()
    query: tuple[Condition, ...] = ()
    form: tuple[Condition, ...] = ()
    json: tuple[Condition, ...] = ()

    @property
    def needs_body(self) -> bool:
        """Whether only the body can tell."""
        return bool(self.form or self.json)

    def fits_head(self, read: Reading) -> bool:
        """Say whether all conditions but those on host, path and body are met."""
        request = read.request
        return (
            (not self.methods or request.method in self.methods)
            and (not self.hosts or not any(host.port for host in self.hosts) or self._fits_host(request))
            and (not self.media_types or _any_text(self.media_types, read.media_type))
            and (not self.headers or all(one.fits(read.header(one.name)) for one in self.headers))
            and (not self.query or all(one.fits(read.query_values(one.name)) for one in self.query))
        )

    def fits_body(self, read: Reading) -> bool:
        """Say whether the conditions on the body are met."""
        return all(condition.fits(read.form_values(condition.name)) for condition in self.form) and all(
            condition.fits(read.json_values(condition.name)) for condition in self.json
        )

    def checks(self, read: Reading, secrets: SecretRules = NOTHING_MORE) -> Iterator[Check]:
        """Yield how each condition that there is went; ``secrets``: what of the request is not shown."""
        request = read.request
        if self.hosts:
            wanted = " or ".join(_shown_host(host) for host in self.hosts)
            yield Check("host", wanted, request.origin.host_header, self._fits_host(request))
        if self.paths:
            tokens = path_tokens(request.path)
            met = any(tokens_match(path_tokens(path.encode("ascii")), tokens) for path in self.paths)
            yield Check(
                "path", " or ".join(self.paths), masked_path(request.origin.host, request.path, secrets), met
            )
        if self.methods:
            met = request.method in self.methods
            yield Check("method", " or ".join(sorted(self.methods)), request.method, met)
        if self.media_types:
            met = _any_text(self.media_types, read.media_type)
            yield Check("content type", " or ".join(self.media_types), read.media_type or "none", met)
        kinds: tuple[tuple[str, tuple[Condition, ...], Callable[[str], list[Any]]], ...] = (
            ("header", self.headers, read.header),
            ("query", self.query, read.query_values),
            ("form", self.form, read.form_values),
            ("json", self.json, read.json_values),
        )
        for kind, conditions, values in kinds:
            for condition in conditions:
                found = values(condition.name)
                wanted = " or ".join(_shown(value) for value in condition.values)
                if is_secret_name(condition.name, (*secrets.headers, *secrets.query)):
                    wanted = MASK
                # Values are not shown: a header or a member may be a secret.
                seen = "absent" if not found else "fits" if condition.fits(found) else "another value"
                yield Check(f"{kind} {condition.name}", wanted, seen, condition.fits(found))

    def _fits_host(self, request: Request) -> bool:
        tokens = host_tokens(request.origin.host)
        return any(
            host.port in (None, request.origin.port) and tokens_match(host.tokens, tokens)
            for host in self.hosts
        )


class Reading:
    """A request as conditions read it; what is costly is read once, and only if it is asked for."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._content = Content(request)

    @property
    def media_type(self) -> str:
        """The media type, or empty."""
        return self._content.kind

    def header(self, name: str) -> list[str]:
        """Return the values of a header's lines."""
        return [value.strip().decode("latin-1") for value in header_values(self.request.headers, name)]

    def query_values(self, name: str) -> list[str]:
        """Return the values of a parameter of the query."""
        return [value for key, value in self._query if key == name]

    def form_values(self, name: str) -> list[str]:
        """Return the values of a field; none where the body is no form."""
        return [value for key, value in self._form if key == name]

    def json_values(self, path: str) -> list[Any]:
        """Return what a JSONPath selects; none where the body is no plain JSON."""
        if self._content.json is None:
            return []
        try:
            return select(path, self._content.json.document)
        except TooDeep:
            return []

    @cached_property
    def _query(self) -> list[tuple[str, str]]:
        return _pairs(self.request.target.partition(b"?")[2])

    @cached_property
    def _form(self) -> list[tuple[str, str]]:
        if self._content.pairs is None or self._content.decoded is None:
            return []
        return _pairs(self._content.decoded)


def _pairs(text: bytes) -> list[tuple[str, str]]:
    return parse_qsl(text.decode("latin-1"), keep_blank_values=True)


def _fits(value: Scalar, found: Any) -> bool:
    if isinstance(value, str):
        return isinstance(found, str) and Text(value).matches(found)
    if value is None or isinstance(value, bool) or isinstance(found, bool):
        return found is value
    return isinstance(found, int | float | Decimal) and found == value


def _any_text(globs: tuple[str, ...], text: str) -> bool:
    return any(Text(glob).matches(text) for glob in globs)


def _shown(value: Scalar) -> str:
    return "absent" if value is None else json.dumps(value)


def _shown_host(host: HostGlob) -> str:
    name = ".".join(reversed(host.tokens))
    return name if host.port is None else f"{name}:{host.port}"
