"""A route as it is written: what it matches, what makes two requests the same, how they are treated."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from onceproxy.config.fields import Many, OneOrMany, Section
from onceproxy.config.identity import IdentitySection, KeyTarget
from onceproxy.config.selections import Name
from onceproxy.config.texts import (
    check_host,
    check_media_type,
    check_method,
    check_path_glob,
    check_route_name,
)
from onceproxy.config.treatment import HeaderName, JsonPath, Outcomes, ProbeSection, RouteTreatment

HostText = Annotated[str, AfterValidator(check_host)]
PathGlob = Annotated[str, AfterValidator(check_path_glob)]
Method = Annotated[str, AfterValidator(check_method)]
MediaType = Annotated[str, AfterValidator(check_media_type)]


def _scalar(value: object) -> object:
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise ValueError(
            "it must be text (with * for any characters), a number, true, false or null (absent)"
        )
    return value


Scalar = Annotated[str | int | float | bool | None, BeforeValidator(_scalar)]


class MatchSection(Section):
    """Which requests a route is for. All that is given must hold; a list means one of them."""

    host: OneOrMany[HostText] | None = Field(
        None, description="Hosts, with a port or any; * is one label or a part of one, ** any number."
    )
    path: OneOrMany[PathGlob] | None = Field(
        None, description="Paths; * is one segment or a part of one, ** any number."
    )
    methods: Many[Method] = Field((), description="Methods.")
    content_type: OneOrMany[MediaType] | None = Field(None, description="Media types; * is any characters.")
    headers: dict[HeaderName, OneOrMany[Scalar]] = Field(
        default_factory=dict, description="Values of headers; * is any characters, null is absent."
    )
    query: dict[Name, OneOrMany[Scalar]] = Field(
        default_factory=dict, description="Values of the query's parameters, likewise."
    )
    form: dict[Name, OneOrMany[Scalar]] = Field(
        default_factory=dict, description="Values of a form's fields, likewise. The body is read first."
    )
    json_: dict[JsonPath, OneOrMany[Scalar]] = Field(
        default_factory=dict,
        alias="json",
        description="Values that JSONPaths select in the body, likewise. The body is read first.",
    )


class RouteSection(RouteTreatment):
    """One rule. The first whose ``match`` fits a request is its route."""

    name: Annotated[str, AfterValidator(check_route_name)] = Field(
        description="What receipts, logs and problems call it."
    )
    match: MatchSection = Field(description="Which requests it is for.")
    guard: bool | None = Field(
        None, description="false: send as it is. true: also what reads. Default: mutations are guarded."
    )
    upgrade_tls: bool = Field(
        False, description="Send what is asked for by http:// on by https://; port 80 becomes 443."
    )
    client_certificate: str | None = Field(
        None, description="The name of the one of tls.client_certificates to show; default: the host's."
    )
    identity: IdentitySection = Field(
        default_factory=IdentitySection, description="What makes two requests the same action."
    )
    outcomes: Outcomes = Field(default_factory=Outcomes, description="Statuses whose meaning changes.")
    inject_key: KeyTarget | None = Field(
        None, description="Where our request_id goes upstream if the client sent no key."
    )
    probe: ProbeSection | None = Field(None, description="The GET that settles a doubt; for in_doubt: probe.")
