"""From settings to the rules of the core: one route table, the file's own routes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from onceproxy.config.egress import egress_policy
from onceproxy.config.fields import many
from onceproxy.config.identity import (
    BodySection,
    FingerprintSection,
    IdentitySection,
    KeySource,
    KeyTarget,
)
from onceproxy.config.model import Settings
from onceproxy.config.protocols import JsonRpcSection
from onceproxy.config.routes import MatchSection, RouteSection
from onceproxy.config.selections import Names, Paths
from onceproxy.config.shipped import load_preset
from onceproxy.config.texts import parse_source
from onceproxy.config.treatment import Defaults, Outcomes, ProbeSection, RouteTreatment
from onceproxy.core.egress import EgressPolicy
from onceproxy.core.masking import SecretRules
from onceproxy.core.matching import Condition, HostGlob, Match, Scalar
from onceproxy.core.policies import OutcomeRules, Policy
from onceproxy.core.probes import Probe
from onceproxy.core.routes import Route, RouteTable
from onceproxy.core.rules import (
    ALL,
    NONE,
    PROXY_USER,
    BodyForm,
    BodyRules,
    FingerprintRules,
    IdentityRules,
    InjectAs,
    JsonRpcRules,
    Place,
    Selection,
    Source,
    ToolRules,
)

OWN = "routes["
"""How the origin of a route of the file itself begins."""

_WHOLE_BODY = {
    "all": BodyRules(BodyForm.AUTO),
    "none": BodyRules(BodyForm.NONE),
    "graphql": BodyRules(BodyForm.GRAPHQL),
    "jsonrpc": BodyRules(BodyForm.JSONRPC),
}


def route_table(settings: Settings) -> RouteTable:
    """Return all routes of a configuration and the one for what none of them takes."""
    routes = [_route(section, settings.defaults, f"{OWN}{at}]") for at, section in enumerate(settings.routes)]
    routes += [
        _route(section, settings.defaults, f"preset {name}")
        for name in settings.presets
        for section in load_preset(name).routes
    ]
    default = Route(
        identity=_identity(None, settings.defaults),
        policy=_policy(settings.defaults),
        client_mode=settings.defaults.allow_client_mode,
    )
    return RouteTable(default, tuple(routes))


def egress_rules(settings: Settings, picked_ports: Iterable[int] = ()) -> EgressPolicy:
    """Return where requests may go. ``picked_ports``: those that this proxy found free and listens on."""
    own = {settings.listen.port, settings.admin.listen.port, *picked_ports} - {0}
    at_home = not settings.listens_beyond_loopback
    return egress_policy(settings.egress, at_home=at_home, own_ports=frozenset(own))


def _route(section: RouteSection, defaults: Defaults, origin: str) -> Route:
    treatment = _inherited(section, defaults)
    return Route(
        name=section.name,
        match=_match(section.match),
        guard=section.guard,
        identity=_identity(section, treatment),
        policy=_policy(treatment, section.outcomes, section.probe),
        client_mode=treatment.allow_client_mode,
        origin=origin,
        upgrade_tls=section.upgrade_tls,
        client_certificate=section.client_certificate,
    )


def _inherited(section: RouteTreatment, defaults: Defaults) -> Defaults:
    """Return the defaults with what a route says itself put over them."""
    own = {name: getattr(section, name) for name in RouteTreatment.model_fields}
    return defaults.model_copy(update={name: value for name, value in own.items() if value is not None})


def _policy(
    treatment: Defaults, outcomes: Outcomes | None = None, probe: ProbeSection | None = None
) -> Policy:
    moved = outcomes or Outcomes()
    return Policy(
        mode=treatment.mode,
        duplicate=treatment.duplicate,
        wait=treatment.wait,
        in_doubt=treatment.in_doubt,
        upstream_window=treatment.upstream_window or 0.0,
        probe=Probe(**dict(probe)) if probe is not None else None,
        outcomes=OutcomeRules(
            completed=frozenset(moved.completed),
            released=frozenset(moved.released),
            in_doubt=frozenset(moved.in_doubt),
        ),
        ttl=treatment.ttl,
        after_ttl=treatment.after_ttl,
        tombstone=treatment.tombstone,
        reuse_idle=treatment.reuse_idle,
        keep_cookies=treatment.keep_cookies,
        redact=treatment.redact,
    )


def _identity(section: RouteSection | None, treatment: Defaults) -> IdentityRules:
    rules = section.identity if section is not None else IdentitySection()
    keys = many(rules.key)
    inject = section.inject_key if section is not None else None
    return IdentityRules(
        keys=tuple(_source(key) for key in keys),
        strict=any(key.strict for key in keys),
        namespace=rules.namespace,
        missing=rules.missing,
        fingerprint=_fingerprint(rules.fingerprint),
        scope=tuple(part if part == PROXY_USER else parse_source(part) for part in treatment.scope),
        any_credential=treatment.credential == "any",
        fresh_key=treatment.fresh_key,
        fresh_key_window=treatment.fresh_key_window,
        inject_key=_source(inject) if inject is not None else None,
        inject_as=inject.as_ if inject is not None else InjectAs.REQUEST_ID,
        secrets=SecretRules(treatment.secrets.path, treatment.secrets.query, treatment.secrets.headers),
    )


def _source(place: KeySource | KeyTarget) -> Source:
    found = {Place.HEADER: place.header, Place.JSON: place.json_}
    if isinstance(place, KeySource):
        found |= {Place.QUERY: place.query, Place.FORM: place.form}
    [(where, name)] = [(where, name) for where, name in found.items() if name is not None]
    return Source(where, name)


def _fingerprint(section: FingerprintSection) -> FingerprintRules:
    body = section.body
    return FingerprintRules(
        query=_selection(section.query),
        headers=section.headers,
        body=_body(body) if isinstance(body, BodySection) else _WHOLE_BODY[body],
    )


def _body(section: BodySection) -> BodyRules:
    if section.json_ is not None:
        return BodyRules(BodyForm.JSON, _selection(section.json_))
    if section.form is not None:
        return BodyRules(BodyForm.FORM, _selection(section.form))
    if section.graphql is not None:
        return BodyRules(BodyForm.GRAPHQL, _selection(section.graphql))
    assert section.jsonrpc is not None
    members = section.jsonrpc.members
    return BodyRules(
        BodyForm.JSONRPC, ALL if members is None else _selection(members), _jsonrpc(section.jsonrpc)
    )


def _jsonrpc(section: JsonRpcSection) -> JsonRpcRules:
    return JsonRpcRules(
        methods=JsonRpcRules().methods if section.methods is None else _selection(section.methods),
        tools=tuple(
            ToolRules(
                names=many(tool.name),
                guard=tool.guard,
                arguments=ALL if tool.arguments is None else _selection(tool.arguments),
            )
            for tool in section.tools
        ),
        trust_annotations=section.trust_annotations,
    )


def _selection(members: Literal["all", "none"] | Names | Paths) -> Selection:
    if isinstance(members, str):
        return ALL if members == "all" else NONE
    return Selection(members.include, members.exclude or ())


def _match(section: MatchSection) -> Match:
    return Match(
        hosts=tuple(HostGlob.parse(host) for host in _given(section.host)),
        paths=_given(section.path),
        methods=frozenset(section.methods),
        media_types=_given(section.content_type),
        headers=_conditions(section.headers),
        query=_conditions(section.query),
        form=_conditions(section.form),
        json=tuple(Condition(path, many(values)) for path, values in section.json_.items()),
    )


def _given(texts: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if texts is None else many(texts)


def _conditions(conditions: Mapping[str, Scalar | tuple[Scalar, ...]]) -> tuple[Condition, ...]:
    return tuple(
        Condition(name, tuple(_as_text(value) for value in many(values)))
        for name, values in conditions.items()
    )


def _as_text(value: Scalar) -> str | None:
    """Return what a value looks like outside of JSON, where all values are text."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)
