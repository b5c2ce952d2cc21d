"""Whose action it is. Part of the identity, so that those who share a proxy never meet."""

from __future__ import annotations

from dataclasses import dataclass

from onceproxy.core.canonical import pack
from onceproxy.core.contents import Content
from onceproxy.core.credential import CREDENTIAL_HEADERS, public_value
from onceproxy.core.masking import SecretRules, is_secret_name, masked_text
from onceproxy.core.messages import Request
from onceproxy.core.places import NoScalar, values_at
from onceproxy.core.rules import IdentityRules, Place, Source

_SHOWN = 100  # characters of a value that are told


@dataclass(frozen=True, slots=True)
class Scope:
    """``parts`` go into the request_id; ``words`` say the same to people, and hold no secret."""

    parts: tuple[bytes, ...]
    words: tuple[str, ...]


def scope_of(user: str | None, request: Request, content: Content, rules: IdentityRules) -> Scope:
    """Return the scope of a request. A source without a value adds nothing: that is a scope as well."""
    parts, words = [], []
    for part in rules.scope:
        if not isinstance(part, Source):
            if user is not None:
                parts.append(f"user:{user}".encode())
                words.append(f"user:{user}")
        elif values := _values(part, request, content):
            # Begins with a length, so that no user's name can look like it.
            parts.append(pack([part.place.value.encode(), _name(part), *values]))
            words.append(f"{part.place.value}:{part.name}={_shown(part, values, rules.secrets)}")
    return Scope(tuple(parts), tuple(words))


def _name(source: Source) -> bytes:
    name = source.name.lower() if source.place is Place.HEADER else source.name
    return name.encode("utf-8")


def _values(source: Source, request: Request, content: Content) -> list[bytes]:
    try:
        values = values_at(source, request, content)
    except NoScalar:
        return []
    if source.place is Place.HEADER:
        name = _name(source)
        return [pack(public_value(name, value)) if name in CREDENTIAL_HEADERS else value for value in values]
    return values


def _shown(source: Source, values: list[bytes], secrets: SecretRules) -> str:
    named = {Place.HEADER: secrets.headers, Place.QUERY: secrets.query}.get(source.place, ())
    if is_secret_name(source.name, named):
        return "(hidden)"
    text = masked_text(", ".join(value.decode("utf-8", "backslashreplace") for value in values))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
