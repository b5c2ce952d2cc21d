"""Routes as they are written become the rules of the core, with all that they inherit."""

from __future__ import annotations

import pytest

from onceproxy.config.routing import route_table
from onceproxy.core.matching import Condition, HostGlob, Match
from onceproxy.core.policies import AfterTtl, Duplicate, InDoubt, Mode, OutcomeRules, Policy
from onceproxy.core.probes import Probe
from onceproxy.core.routes import Route
from onceproxy.core.rules import (
    NONE,
    BodyForm,
    BodyRules,
    FingerprintRules,
    FreshKey,
    IdentityRules,
    InjectAs,
    JsonRpcRules,
    Missing,
    Place,
    Selection,
    Source,
    ToolRules,
)
from unit.config.loading import settings_of

ALL_OF_IT = """
routes:
  - name: charges
    match:
      host: api.stripe.com
      path: [/v1/charges, /v1/*/refund]
      methods: [POST]
      content_type: application/x-www-form-urlencoded
      headers: {X-Live: true, X-Version: ["1.*", 2]}
      query: {dry_run: null}
      form: {kind: charge}
      json: {"$.kind": [charge, 3, true, null]}
    guard: true
    identity:
      key:
        - {header: Idempotency-Key, strict: true}
        - {json: $.idempotency_key}
        - {query: request_id}
        - {form: key}
      namespace: charges
      missing: reject
      fingerprint:
        query: {exclude: [nonce]}
        headers: [Stripe-Account]
        body: {json: {exclude: ["$.metadata.trace_id"]}}
    scope: [proxy_user, "header:Stripe-Account", "json:$.tenant"]
    credential: any
    fresh_key: hold
    fresh_key_window: 10m
    outcomes: {released: [503], in_doubt: [404], completed: [409]}
    in_doubt: probe
    upstream_window: 24h
    inject_key: {header: Idempotency-Key, as: uuid}
    probe:
      url: "https://api.example.com/orders?reference={json:$.reference}"
      happened: "$.data[0]"
      settle: 7s
      tries: 2
      backoff: 1s
      headers: [X-Version]
    reuse_idle: 2s
    ttl: 48h
    tombstone: 1d
    after_ttl: refuse
    duplicate: conflict
    wait: 1s
    mode: observe
    keep_cookies: true
    allow_client_mode: true
"""


def route_of(text: str) -> Route:
    return route_table(settings_of(text)).routes[0]


def one(rest: str) -> Route:
    return route_of("routes:\n- {name: a, match: {path: /a}, " + rest + "}")


def test_everything_that_can_be_said() -> None:
    assert route_of(ALL_OF_IT) == Route(
        name="charges",
        match=Match(
            hosts=(HostGlob(("com", "stripe", "api")),),
            paths=("/v1/charges", "/v1/*/refund"),
            methods=frozenset({"POST"}),
            media_types=("application/x-www-form-urlencoded",),
            headers=(Condition("X-Live", ("true",)), Condition("X-Version", ("1.*", "2"))),
            query=(Condition("dry_run", (None,)),),
            form=(Condition("kind", ("charge",)),),
            json=(Condition("$.kind", ("charge", 3, True, None)),),
        ),
        guard=True,
        identity=IdentityRules(
            keys=(
                Source(Place.HEADER, "Idempotency-Key"),
                Source(Place.JSON, "$.idempotency_key"),
                Source(Place.QUERY, "request_id"),
                Source(Place.FORM, "key"),
            ),
            strict=True,
            namespace="charges",
            missing=Missing.REJECT,
            fingerprint=FingerprintRules(
                query=Selection(exclude=("nonce",)),
                headers=("Stripe-Account",),
                body=BodyRules(BodyForm.JSON, Selection(exclude=("$.metadata.trace_id",))),
            ),
            scope=("proxy_user", Source(Place.HEADER, "Stripe-Account"), Source(Place.JSON, "$.tenant")),
            any_credential=True,
            fresh_key=FreshKey.HOLD,
            fresh_key_window=600.0,
            inject_key=Source(Place.HEADER, "Idempotency-Key"),
            inject_as=InjectAs.UUID,
        ),
        policy=Policy(
            mode=Mode.OBSERVE,
            duplicate=Duplicate.CONFLICT,
            wait=1.0,
            in_doubt=InDoubt.PROBE,
            upstream_window=86_400.0,
            probe=Probe(
                url="https://api.example.com/orders?reference={json:$.reference}",
                happened="$.data[0]",
                settle=7.0,
                tries=2,
                backoff=1.0,
                headers=("X-Version",),
            ),
            outcomes=OutcomeRules(frozenset({409}), frozenset({503}), frozenset({404})),
            ttl=172_800.0,
            after_ttl=AfterTtl.REFUSE,
            tombstone=86_400.0,
            reuse_idle=2.0,
            keep_cookies=True,
        ),
        client_mode=True,
        origin="routes[0]",
    )


def test_a_route_that_says_little_is_as_the_core_has_it() -> None:
    assert one("") == Route(name="a", match=Match(paths=("/a",)), origin="routes[0]")


def test_what_a_route_does_not_say_is_taken_from_the_defaults() -> None:
    table = route_table(
        settings_of(
            "defaults: {ttl: 1h, in_doubt: resend, upstream_window: 2h, scope: ['header:X'], credential: any,"
            " fresh_key: warn, allow_client_mode: true}\n"
            "routes:\n- {name: a, match: {path: /a}, ttl: 3h, wait: null}\n"
        )
    )
    [route] = table.routes

    assert (route.policy.ttl, table.default.policy.ttl) == (10_800.0, 3_600.0)
    for one in (route, table.default):
        assert one.policy.in_doubt is InDoubt.RESEND
        assert one.policy.resend_window == 7_200.0
        assert one.policy.wait == 30.0
        assert one.identity.scope == (Source(Place.HEADER, "X"),)
        assert one.identity.any_credential
        assert one.identity.fresh_key is FreshKey.WARN
        assert one.client_mode


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("query: all", FingerprintRules()),
        ("query: none", FingerprintRules(query=NONE)),
        ("query: {include: [a]}", FingerprintRules(query=Selection(("a",)))),
        ("query: {include: []}", FingerprintRules(query=NONE)),
        ("body: all", FingerprintRules()),
        ("body: none", FingerprintRules(body=BodyRules(BodyForm.NONE))),
        ("body: graphql", FingerprintRules(body=BodyRules(BodyForm.GRAPHQL))),
        ("body: jsonrpc", FingerprintRules(body=BodyRules(BodyForm.JSONRPC))),
        (
            "body: {json: {include: [$.a]}}",
            FingerprintRules(body=BodyRules(BodyForm.JSON, Selection(("$.a",)))),
        ),
        (
            "body: {form: {exclude: [a]}}",
            FingerprintRules(body=BodyRules(BodyForm.FORM, Selection(exclude=("a",)))),
        ),
        (
            "body: {graphql: {exclude: [$.variables.id]}}",
            FingerprintRules(body=BodyRules(BodyForm.GRAPHQL, Selection(exclude=("$.variables.id",)))),
        ),
        ("body: {jsonrpc: {}}", FingerprintRules(body=BodyRules(BodyForm.JSONRPC))),
        (
            "body: {jsonrpc: {methods: {exclude: ['get*']}, members: {exclude: [$.params.nonce]}}}",
            FingerprintRules(
                body=BodyRules(
                    BodyForm.JSONRPC,
                    Selection(exclude=("$.params.nonce",)),
                    JsonRpcRules(methods=Selection(exclude=("get*",))),
                )
            ),
        ),
        (
            "body: {jsonrpc: {trust_annotations: true, tools: [{name: 'get_*', guard: false},"
            " {name: [pay, refund], arguments: {include: [$.order]}}]}}",
            FingerprintRules(
                body=BodyRules(
                    BodyForm.JSONRPC,
                    jsonrpc=JsonRpcRules(
                        tools=(
                            ToolRules(("get_*",), guard=False),
                            ToolRules(("pay", "refund"), arguments=Selection(("$.order",))),
                        ),
                        trust_annotations=True,
                    ),
                )
            ),
        ),
    ],
)
def test_each_form_of_a_fingerprint(written: str, rules: FingerprintRules) -> None:
    assert one(f"identity: {{fingerprint: {{{written}}}}}").identity.fingerprint == rules


def test_one_key_or_none() -> None:
    assert one("identity: {key: {json: $.id}}").identity.keys == (Source(Place.JSON, "$.id"),)
    assert one("identity: {key: []}").identity.keys == ()


def test_hosts_with_ports_and_addresses() -> None:
    route = route_of(
        "routes:\n- {name: a, match: {host: ['*.X.com', 'localhost:3000', '::1', '[::1]:80', 10.0.0.1]}}"
    )

    assert route.match.hosts == (
        HostGlob(("com", "x", "*")),
        HostGlob(("localhost",), 3000),
        HostGlob(("::1",)),
        HostGlob(("::1",), 80),
        HostGlob(("1", "0", "0", "10")),
    )
