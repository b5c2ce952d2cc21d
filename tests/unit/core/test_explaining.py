"""Explanations say what the proxy does, and former identities are found."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.canonical import pack, unpack
from onceproxy.core.explaining import Asker, explain, formers
from onceproxy.core.identity import examine
from onceproxy.core.matching import HostGlob, Match
from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request
from onceproxy.core.policies import Mode, Policy
from onceproxy.core.readable import HIDDEN, readable
from onceproxy.core.routes import Route, RouteTable
from onceproxy.core.rules import FingerprintRules, IdentityRules, Missing, Place, Selection, Source

POST = frozenset({"POST"})
HOST = (HostGlob.parse("a.com"),)
JSON = (b"Content-Type", b"application/json")


def a_request(path: str = "/pay", headers: RawHeaders = (JSON,), body: bytes = b"{}") -> Request:
    return Request("POST", Origin("https", "a.com", 443), path.encode(), headers, BytesBody(body))


def table(*routes: Route) -> RouteTable:
    return RouteTable(Route(), routes)


def test_the_route_its_conditions_and_those_that_nearly_did() -> None:
    nearly = Route("nearly", Match(hosts=HOST, methods=frozenset({"PUT"})))
    far = Route("far", Match(hosts=(HostGlob.parse("b.com"),), methods=frozenset({"PUT"})))
    chosen = Route("chosen", Match(hosts=HOST, paths=("/pay",)))
    later = Route("later", Match(hosts=HOST, methods=frozenset({"PUT"})))

    found = explain(table(nearly, far, chosen, later), a_request(), Asker())

    assert found.chosen.route is chosen
    assert [(check.what, check.met) for check in found.chosen.checks] == [("host", True), ("path", True)]
    assert [tried.route.name for tried in found.nearly] == ["nearly"]
    assert [check.what for check in found.nearly[0].unmet] == ["method"]


def test_the_identity_is_the_one_that_the_proxy_makes() -> None:
    rules = IdentityRules(scope=("proxy_user", Source(Place.HEADER, "X-T")))
    route = Route("r", Match(paths=("/pay",)), identity=rules)
    request = a_request(headers=(JSON, (b"X-T", b"t")))

    found = explain(table(route), request, Asker("run-1", b"again"))

    assert found.guarded
    assert found.examined == examine(request, rules, user="run-1", action=b"again")


def test_where_the_key_was() -> None:
    header, member = Source(Place.HEADER, "Idempotency-Key"), Source(Place.JSON, "$.id")
    route = Route("r", Match(paths=("/pay",)), identity=IdentityRules(keys=(header, member)))

    assert explain(table(route), a_request(body=b'{"id": "k"}'), Asker()).key_from == member
    assert explain(table(route), a_request(), Asker()).key_from is None
    both = a_request(headers=(JSON, (b"Idempotency-Key", b"h")), body=b'{"id": "k"}')
    assert explain(table(route), both, Asker()).key_from == header


def test_what_passes_and_what_is_refused() -> None:
    def of(**changes: Any) -> Any:
        return explain(table(Route("r", Match(paths=("/pay",)), **changes)), a_request(), Asker())

    assert (of(guard=False).verdict.why, of(guard=False).guarded) == ("guard", False)
    assert of(policy=Policy(mode=Mode.OFF)).verdict.why == "mode-off"
    assert of(identity=IdentityRules(missing=Missing.PASS)).verdict.why == "no-key"
    refused = of(identity=IdentityRules(missing=Missing.REJECT))
    assert (refused.guarded, refused.refusal is not None) == (False, True)
    bad = explain(table(), a_request(headers=((b"Idempotency-Key", b"a b"),)), Asker())
    assert bad.refusal == "Idempotency-Key holds something else than visible ASCII characters"


def test_former_identities_by_later_routes_the_defaults_and_former_tables() -> None:
    fine = Route("new", Match(paths=("/pay",)), identity=IdentityRules(namespace="n"))
    wide = Route("wide", Match(paths=("/**",)), identity=IdentityRules(namespace="w"))
    reads = Route("reads", Match(paths=("/**",)), guard=False, identity=IdentityRules(namespace="x"))
    was = Route("was", Match(paths=("/pay",)), identity=IdentityRules(namespace="old"))
    request, asker = a_request(headers=((b"Idempotency-Key", b"k"),)), Asker()
    now = table(fine, wide, reads)

    found = formers(
        explain(now, request, asker), request, asker, [("old.yaml", table(was)), ("these rules", now)]
    )

    assert [(former.label, former.route) for former in found] == [
        ("old.yaml", "was"),
        ("old.yaml, without any route", "default"),
        ("these rules, without the routes before it", "wide"),
    ]
    assert found[0].examined == examine(request, was.identity)
    assert len({former.examined.identity.request_id for former in found}) == 3


def test_the_readable_form_says_what_counts_and_hides_secrets() -> None:
    rules = FingerprintRules(
        query=Selection(exclude=("n",)), headers=("X-V", "Authorization", "X-Auth-Token")
    )
    request = a_request(
        "/p%61y?n=1&b=2&api_key=s3",
        (JSON, (b"X-V", b"1"), (b"Authorization", b"Bearer s3"), (b"X-Auth-Token", b"s3")),
        json.dumps({"b": 1, "a": {"password": "s3", "list": [{"token": "s3"}, 2]}}).encode(),
    )
    form = readable(examine(request, IdentityRules(fingerprint=rules)).form)

    assert form == {
        "version": 1,
        "method": "POST",
        "origin": "https://a.com",
        "path": "/pay",
        "query": [f"api_key={HIDDEN}", "b=2"],
        "headers": {"authorization": [HIDDEN], "x-auth-token": [HIDDEN], "x-v": ["1"]},
        "body": {
            "read_as": "json",
            "media_type": "application/json",
            "parts": [{"a": {"list": [{"token": HIDDEN}, 2], "password": HIDDEN}, "b": 1}],
        },
    }
    assert "s3" not in json.dumps(form)


def test_forms_bytes_and_large_bodies_are_readable_too() -> None:
    def body(content_type: str, data: bytes, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
        request = a_request(headers=((b"Content-Type", content_type.encode()), *headers), body=data)
        found: dict[str, Any] = readable(examine(request).form)["body"]
        return found

    form = body("application/x-www-form-urlencoded", b"b=1&client_secret=s&a=2")
    assert form["parts"] == [["a=2", "b=1", f"client_secret={HIDDEN}"]]
    assert body("text/plain", b"hello")["parts"][-1] == "hello"
    assert body("text/plain", b"\xff\x00")["parts"][-1].startswith("(2 bytes, SHA-256 ")
    assert body("text/plain", b"x" * 5000)["parts"][-1].startswith("(5000 bytes, SHA-256 ")
    zipped = body("application/json", gzip.compress(b'{"a": 1}'), (b"Content-Encoding", b"gzip"))
    assert zipped["parts"] == [{"a": 1}]


@given(st.lists(st.binary(max_size=20)))
def test_what_was_packed_can_be_taken_apart(parts: list[bytes]) -> None:
    assert unpack(pack(parts)) == parts


@given(st.binary(max_size=64))
def test_what_was_not_packed_is_told_apart(data: bytes) -> None:
    parts = unpack(data)

    assert parts is None or pack(parts) == data


def test_a_mode_does_not_change_who_an_action_is() -> None:
    route = Route("r", Match(paths=("/pay",)))
    watched = replace(route, policy=Policy(mode=Mode.OBSERVE))

    assert (
        explain(table(route), a_request(), Asker()).examined
        == explain(table(watched), a_request(), Asker()).examined
    )
