"""The part of a route that says what makes two requests the same action."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from onceproxy.config.fields import Many, OneOrMany, Section, WordOrMembers
from onceproxy.config.texts import check_name
from onceproxy.config.treatment import HeaderName, JsonPath
from onceproxy.core.rules import Missing

Name = Annotated[str, AfterValidator(check_name)]


class KeySource(Section):
    """Where a key is found: exactly one place."""

    header: HeaderName | None = Field(None, description="A header's name.")
    json_: JsonPath | None = Field(None, alias="json", description="A JSONPath into the body.")
    query: Name | None = Field(None, description="A parameter of the query.")
    form: Name | None = Field(None, description="A field of a form.")
    strict: bool = Field(False, description="A header's key must be a quoted string (RFC 9651).")


class KeyTarget(Section):
    """Where our request_id goes as the upstream's key: exactly one place."""

    header: HeaderName | None = Field(None, description="A header's name.")
    json_: JsonPath | None = Field(None, alias="json", description="A JSONPath of one member of the body.")


class Names(Section):
    """Which names count: all but ``exclude``, or only ``include``."""

    include: Many[Name] | None = Field(None, description="Only these.")
    exclude: Many[Name] | None = Field(None, description="All but these.")


class Paths(Section):
    """Which members of a JSON body count: all but ``exclude``, or only ``include``."""

    include: Many[JsonPath] | None = Field(None, description="Only these JSONPaths.")
    exclude: Many[JsonPath] | None = Field(None, description="All but these JSONPaths.")


class BodySection(Section):
    """How a body is read, and what of it counts: exactly one of these."""

    json_: Paths | None = Field(None, alias="json", description="As JSON, whatever its media type.")
    form: Names | None = Field(None, description="As a form, whatever its media type.")


class FingerprintSection(Section):
    """What makes two requests ask for the same, besides method, origin and path."""

    query: WordOrMembers[Literal["all", "none"], Names] = Field(
        "all", description="all, none, {include: [...]} or {exclude: [...]}."
    )
    headers: Many[HeaderName] = Field((), description="Headers that count.")
    body: WordOrMembers[Literal["all", "none", "graphql", "jsonrpc"], BodySection] = Field(
        "all", description="all, none, {json: ...}, {form: ...}, graphql or jsonrpc."
    )


class IdentitySection(Section):
    """What makes two requests of a route the same action."""

    key: OneOrMany[KeySource] = Field(
        KeySource(header="Idempotency-Key"), description="Where the key is; a list is tried in order."
    )
    namespace: str = Field("", description="Keeps this route's keys apart from others of the same origin.")
    missing: Missing = Field(
        Missing.FINGERPRINT, strict=False, description="A request without a key: fingerprint, reject or pass."
    )
    fingerprint: FingerprintSection = Field(
        default_factory=FingerprintSection, description="What two requests must share to be the same."
    )
