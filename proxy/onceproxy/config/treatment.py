"""How actions are treated: for all routes under ``defaults``, and for one in the route itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from onceproxy.config.fields import LongTime, LongTimeOrNone, Many, Pause, Section, Window
from onceproxy.config.texts import (
    check_header_name,
    check_jsonpath,
    check_name,
    check_probe_url,
    check_scope,
    check_secret_path,
)
from onceproxy.core.policies import AfterTtl, Duplicate, InDoubt, Mode
from onceproxy.core.rules import PROXY_USER, FreshKey

HeaderName = Annotated[str, AfterValidator(check_header_name)]
JsonPath = Annotated[str, AfterValidator(check_jsonpath)]
SecretName = Annotated[str, AfterValidator(check_name)]
SecretPath = Annotated[str, AfterValidator(check_secret_path)]
ScopePart = Annotated[str, AfterValidator(check_scope)]
Credential = Literal["match", "any"]
Status = Annotated[int, Field(ge=100, le=599)]


class SecretsSection(Section):
    """What of a request is a secret, besides what always counts as one."""

    path: Many[SecretPath] = Field(
        (), description="Beginnings of paths whose wildcards are hidden, as in /services/** or /bot*."
    )
    query: Many[SecretName] = Field(
        (), description="Parameters whose values are hidden in what explain shows."
    )
    headers: Many[HeaderName] = Field((), description="Headers whose values are hidden likewise.")


class Defaults(Section):
    """What holds for every guarded request, unless its route says otherwise."""

    ttl: LongTime = Field(86_400.0, description="How long a receipt answers copies.")
    after_ttl: AfterTtl = Field(
        AfterTtl.NEW, strict=False, description="What a later copy is: new, or refused while remembered."
    )
    tombstone: LongTimeOrNone = Field(
        2_592_000.0, description="How long it is remembered after the ttl that an action happened."
    )
    duplicate: Duplicate = Field(
        Duplicate.WAIT, strict=False, description="What a copy does that meets one at work: wait or conflict."
    )
    wait: Pause = Field(30.0, description="How long a copy waits for the one at work.")
    in_doubt: InDoubt = Field(
        InDoubt.REFUSE, strict=False, description="What a copy gets when nobody knows whether it happened."
    )
    upstream_window: Window | None = Field(
        None, description="How long after the first attempt the upstream knows a copy; resend needs it."
    )
    mode: Mode = Field(
        Mode.ENFORCE, strict=False, description="enforce, observe (send all, record) or off (pass through)."
    )
    allow_client_mode: bool = Field(
        False, description="Let a client ask for observe or off with Onceproxy-Mode."
    )
    scope: Many[ScopePart] = Field(
        (PROXY_USER,), description="Whose action it is: proxy_user, header:NAME, query:NAME, json:PATH."
    )
    credential: Credential = Field(
        "match", description="match: a receipt answers only who carries the same credential; any: everyone."
    )
    fresh_key: FreshKey = Field(
        FreshKey.ALLOW, strict=False, description="What a request is that comes again under a new key."
    )
    fresh_key_window: Window = Field(3_600.0, description="How far back fresh_key looks.")
    reuse_idle: Pause = Field(
        1.0, description="Guarded requests reuse an upstream connection idle for less than this."
    )
    keep_cookies: bool = Field(False, description="Receipts keep Set-Cookie.")
    redact: Many[JsonPath] = Field(
        (), description="JSONPaths of members of an answer that receipts do not keep; copies get a marker."
    )
    secrets: SecretsSection = Field(
        default_factory=SecretsSection, description="What is never shown or stored of a request."
    )


class RouteTreatment(Section):
    """The same, for one route. What is left out, or null, is taken from ``defaults``."""

    ttl: LongTime | None = Field(None, description="How long a receipt answers copies.")
    after_ttl: AfterTtl | None = Field(
        None, strict=False, description="What a later copy is: new, or refused while remembered."
    )
    tombstone: LongTimeOrNone | None = Field(
        None, description="How long it is remembered after the ttl that an action happened."
    )
    duplicate: Duplicate | None = Field(
        None, strict=False, description="What a copy does that meets one at work: wait or conflict."
    )
    wait: Pause | None = Field(None, description="How long a copy waits for the one at work.")
    in_doubt: InDoubt | None = Field(
        None, strict=False, description="What a copy gets when nobody knows whether it happened."
    )
    upstream_window: Window | None = Field(
        None, description="How long after the first attempt the upstream knows a copy; resend needs it."
    )
    mode: Mode | None = Field(
        None, strict=False, description="enforce, observe (send all, record) or off (pass through)."
    )
    allow_client_mode: bool | None = Field(
        None, description="Let a client ask for observe or off with Onceproxy-Mode."
    )
    scope: Many[ScopePart] | None = Field(
        None, description="Whose action it is: proxy_user, header:NAME, query:NAME, json:PATH."
    )
    credential: Credential | None = Field(
        None, description="match: a receipt answers only who carries the same credential; any: everyone."
    )
    fresh_key: FreshKey | None = Field(
        None, strict=False, description="What a request is that comes again under a new key."
    )
    fresh_key_window: Window | None = Field(None, description="How far back fresh_key looks.")
    reuse_idle: Pause | None = Field(
        None, description="Guarded requests reuse an upstream connection idle for less than this."
    )
    keep_cookies: bool | None = Field(None, description="Receipts keep Set-Cookie.")
    redact: Many[JsonPath] | None = Field(
        None, description="JSONPaths of members of an answer that receipts do not keep; copies get a marker."
    )
    secrets: SecretsSection | None = Field(None, description="What is never shown or stored of a request.")


class Outcomes(Section):
    """Statuses whose meaning a route changes."""

    completed: Many[Status] = Field((), description="Statuses that are the action's answer.")
    released: Many[Status] = Field((), description="Statuses that prove that nothing happened.")
    in_doubt: Many[Status] = Field((), description="Statuses after which nobody knows.")


class ProbeSection(Section):
    """A GET that says whether an action in doubt happened."""

    url: Annotated[str, AfterValidator(check_probe_url)] = Field(
        description="What to ask; {json:PATH}, {header:NAME}, {query:NAME} stand for values of the action."
    )
    happened: JsonPath = Field(
        description="A JSONPath that selects something in the answer if it happened, and nothing if not."
    )
    settle: Pause = Field(5.0, description="How long after the doubt 'not found' is believed.")
    tries: Annotated[int, Field(ge=1, le=10)] = Field(
        3, description="How often it is asked while the answer is unclear."
    )
    backoff: Pause = Field(0.5, description="The pause before the second try; it doubles.")
    headers: Many[HeaderName] = Field(
        (), description="Headers of the action that go along, besides its credentials."
    )
