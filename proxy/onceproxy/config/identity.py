"""The part of a route that says what makes two requests the same action."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from onceproxy.config.fields import Many, OneOrMany, Section, WordOrMembers
from onceproxy.config.protocols import JsonRpcSection
from onceproxy.config.selections import Name, Names, Paths
from onceproxy.config.texts import check_member_path
from onceproxy.config.treatment import HeaderName, JsonPath
from onceproxy.core.rules import InjectAs, Missing

MemberPath = Annotated[str, AfterValidator(check_member_path)]


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
    json_: MemberPath | None = Field(None, alias="json", description="A path of names, such as $.outer.key.")
    as_: InjectAs = Field(
        InjectAs.REQUEST_ID,
        alias="as",
        strict=False,
        description="Whole (request_id, 56 characters), or as a uuid where a key must be shorter.",
    )


class BodySection(Section):
    """How a body is read, and what of it counts: exactly one of these."""

    json_: Paths | None = Field(None, alias="json", description="As JSON, whatever its media type.")
    form: Names | None = Field(None, description="As a form, whatever its media type.")
    graphql: Paths | None = Field(None, description="As GraphQL; $ is the object of an operation.")
    jsonrpc: JsonRpcSection | None = Field(None, description="As JSON-RPC.")


class FingerprintSection(Section):
    """What makes two requests ask for the same, besides method, origin and path."""

    query: WordOrMembers[Literal["all", "none"], Names] = Field(
        "all", description="all, none, {include: [...]} or {exclude: [...]}."
    )
    headers: Many[HeaderName] = Field((), description="Headers that count.")
    body: WordOrMembers[Literal["all", "none", "graphql", "jsonrpc"], BodySection] = Field(
        "all", description="all, none, graphql, jsonrpc, or one of them (json and form, too) with its rules."
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
