"""Each mistake in a route, with its place and its remedy."""

from __future__ import annotations

from typing import Any

import pytest

from onceproxy.config.contradictions import contradictions
from unit.config.loading import problems_of, settings_of

JSONPATH = "it must be a JSONPath (RFC 9535), as in $.order.id or $.items[*].id"
SOURCE = (
    "it must be header:NAME, query:NAME, form:NAME or json:PATH, as in header:Stripe-Account, or proxy_user"
)
HEADER = "it must be a header's name alone, as in Stripe-Account"
OURS = "it belongs to the connection with the proxy and is not part of the request upstream"
PATH = (
    "a path starts with a slash and holds no query, fragment or spaces; * is one segment or a part of one, "
    "** any number: /v1/*/refund or /v1/**; percent-encode what is not ASCII"
)
STATUS = "it must be a status, a whole number from 100 to 599"
PROBE_URL = "it must be http(s)://host/path with the host written out, and have no # in it"
ONE_KEY = "must have exactly one of header, json, query, form"
WINDOW = "resend needs upstream_window: how long the upstream knows a copy by its key, as in 24h"


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        ("name: a b", "name: is 'a b'; a name has letters, digits, . _ - and /, at most 64, as in charges"),
        ("name: default", "name: is 'default'; default is the name of what no route takes; choose another"),
        (
            "match: {}",
            "match: matches everything; name at least a host, a path or methods (path: /** is all)",
        ),
        ("match: null", "match: is empty; it must be a mapping"),
        (
            "match: {metods: [POST]}",
            "match.metods: there is no such setting; did you mean routes[0].match.methods?",
        ),
        ("match: {host: 'https://x.com'}", "match.host: it must be a host without scheme, port and path"),
        ("match: {host: 'a**.com'}", "match.host: is 'a**.com'; ** must be a whole label"),
        ("match: {host: 'x.com:0'}", "match.host: is 'x.com:0'; the port must be a number from 1 to 65535"),
        (
            "match: {host: [a.com, 'b?.com']}",
            "match.host[1]: is 'b?.com'; * stands for one label or a part of it",
        ),
        ("match: {path: v1}", f"match.path: is 'v1'; {PATH}"),
        ("match: {path: '/a?b'}", f"match.path: is '/a?b'; {PATH}"),
        ("match: {path: '/ä'}", f"match.path: is '/ä'; {PATH}"),
        ("match: {path: '/a**'}", "match.path: is '/a**'; ** must be a whole segment"),
        ("match: {methods: [post]}", "match.methods[0]: is 'post'; it must be a method in capital letters"),
        ("match: {methods: [CONNECT]}", "match.methods[0]: is 'CONNECT'; CONNECT opens a tunnel"),
        ("match: {methods: POST}", "match.methods: is 'POST'; it must be a list, as in [a, b]"),
        (
            "match: {content_type: JSON}",
            "match.content_type: is 'JSON'; it must be a media type in small letters",
        ),
        ("match: {headers: {a b: x}}", f"match.headers.'a b': {HEADER}"),
        ("match: {headers: {Host: x}}", f"match.headers.Host: {OURS}"),
        ("match: {headers: {Onceproxy-Action: x}}", f"match.headers.Onceproxy-Action: {OURS}"),
        (
            "match: {query: {a: {b: c}}}",
            "match.query.a: is a mapping; it must be text (with * for any characters)",
        ),
        ("match: {json: {'$.[': x}}", f"match.json.'$.[': {JSONPATH} (unexpected"),
        ("guard: true", "guard: true guards reads, too; name match.methods, or leave it out"),
        ("guard: yes", "guard: is 'yes'; it must be true or false"),
        ("identity: {key: {}}", f"identity.key: {ONE_KEY}"),
        ("identity: {key: {header: A, json: $.a}}", f"identity.key: {ONE_KEY}"),
        ("identity: {key: [{header: A}, {}]}", f"identity.key[1]: {ONE_KEY}"),
        (
            "identity: {key: {jsn: $.a}}",
            "identity.key.jsn: there is no such setting; did you mean routes[0].iden",
        ),
        ("identity: {key: {json: a}}", f"identity.key.json: is 'a'; {JSONPATH} (expected '$', found 'a')"),
        ("identity: {key: {form: a, strict: true}}", "identity.key.strict: is for headers only"),
        (
            "identity: {key: [{header: A}, {header: B, strict: true}]}",
            "identity.key: is strict for one header and not for another; make them the same",
        ),
        (
            "identity: {missing: rejct}",
            "identity.missing: is 'rejct'; it must be 'fingerprint', 'reject' or 'pass'",
        ),
        (
            "identity: {fingerprint: {query: al}}",
            "identity.fingerprint.query: is 'al'; it must be 'all' or 'none'",
        ),
        (
            "identity: {fingerprint: {query: {}}}",
            "identity.fingerprint.query: must have either include or exclude",
        ),
        (
            "identity: {fingerprint: {body: {json: {include: [$.a], exclude: [$.b]}}}}",
            "identity.fingerprint.body.json: must have either include or exclude",
        ),
        (
            "identity: {fingerprint: {body: {}}}",
            "identity.fingerprint.body: must have exactly one of json, form, graphql, jsonrpc",
        ),
        (
            "identity: {fingerprint: {body: {graphql: {}}}}",
            "identity.fingerprint.body.graphql: must have either include or exclude",
        ),
        (
            "identity: {fingerprint: {body: {jsonrpc: {methods: {}}}}}",
            "identity.fingerprint.body.jsonrpc.methods: must have either include or exclude",
        ),
        (
            "identity: {fingerprint: {body: {jsonrpc: {tools: [{name: a, arguments: {}}]}}}}",
            "identity.fingerprint.body.jsonrpc.tools[0].arguments: must have either include or exclude",
        ),
        (
            "identity: {fingerprint: {body: {jsonrpc: {tools: [{guard: false}]}}}}",
            "identity.fingerprint.body.jsonrpc.tools[0].name: ",
        ),
        (
            "identity: {fingerprint: {body: {jsonrpc: {tools: [{nme: a}]}}}}",
            "identity.fingerprint.body.jsonrpc.tools[0].nme: ",
        ),
        (
            "identity: {fingerprint: {body: {json: {exclude: ['$[']}}}}",
            f"identity.fingerprint.body.json.exclude[0]: is '$['; {JSONPATH} (unbalanced brackets)",
        ),
        (
            "identity: {fingerprint: {body: graphq}}",
            "identity.fingerprint.body: is 'graphq'; it must be 'all', ",
        ),
        ("scope: [user]", f"scope[0]: is 'user'; {SOURCE}"),
        ("scope: ['cookie:a']", f"scope[0]: is 'cookie:a'; {SOURCE}"),
        ("scope: ['header:a b']", f"scope[0]: is 'header:a b'; {HEADER}"),
        ("scope: ['json:a']", f"scope[0]: is 'json:a'; {JSONPATH}"),
        ("credential: none", "credential: is 'none'; it must be 'match' or 'any'"),
        ("fresh_key: hlod", "fresh_key: is 'hlod'; it must be 'allow', 'warn' or 'hold'; did you mean hold?"),
        ("fresh_key_window: 10", "fresh_key_window: is 10; it must be a number and its unit"),
        ("outcomes: {released: [99]}", f"outcomes.released[0]: is 99; {STATUS}"),
        ("outcomes: {released: [600]}", f"outcomes.released[0]: is 600; {STATUS}"),
        ("outcomes: {released: [4xx]}", f"outcomes.released[0]: is '4xx'; {STATUS}"),
        (
            "outcomes: {completed: [503], in_doubt: [500, 503]}",
            "outcomes.in_doubt[1]: is 503; it is in completed, too; a status has one outcome",
        ),
        ("in_doubt: resend", f"in_doubt: {WINDOW}"),
        ("in_doubt: probe", "in_doubt: probe needs a probe; write probe: {url: ..., happened: ...}"),
        (
            "in_doubt: resnd",
            "in_doubt: is 'resnd'; it must be 'refuse', 'resend', 'probe' or 'execute'; did you",
        ),
        ("probe: {url: 'https://a.com/', happened: $}", "probe: is never asked; write in_doubt: probe"),
        (
            "in_doubt: probe\n  probe: {url: 'https://a.com/'}",
            "probe.happened: is missing; it is a JSONPath that",
        ),
        ("in_doubt: probe\n  probe: {happened: $}", "probe.url: is missing; it is what the probe asks"),
        (
            "in_doubt: probe\n  probe: {url: '{json:$.a}', happened: $}",
            f"probe.url: is '{{json:$.a}}'; {PROBE_URL}",
        ),
        ("in_doubt: probe\n  probe: {url: 'https://{x}/', happened: $}", f"probe.url: {PROBE_URL}"),
        (
            "in_doubt: probe\n  probe: {url: 'https://a/?b={cookie:c}', happened: $}",
            "probe.url: {cookie:c} is no place; there are {json:…}",
        ),
        ("in_doubt: probe\n  probe: {url: 'https://a/{', happened: $}", "probe.url: each { needs its }"),
        (
            "in_doubt: probe\n  probe: {url: 'https://a/', happened: $, tries: 0}",
            "probe.tries: is 0; it must be a ",
        ),
        ("inject_key: {form: a}", "inject_key: must have exactly one of header, json"),
        ("inject_key: {json: '$.a[0]'}", "inject_key.json: is '$.a[0]'; it must be a path of names alone"),
        ("inject_key: {header: A, as: uid}", "inject_key.as: is 'uid'; it must be 'request_id' or 'uuid'"),
        ("ttl: 5x", "ttl: is '5x'; it must be a number and its unit, as in 500ms, 30s, 10m, 24h or 30d"),
        (
            "mode: obsrve",
            "mode: is 'obsrve'; it must be 'enforce', 'observe' or 'off'; did you mean observe?",
        ),
        ("keep_cookie: true", "keep_cookie: there is no such setting; did you mean routes[0].keep_cookies?"),
        ("header: x", "header: there is no such setting; did you mean routes[0].identity.key.header or"),
    ],
)
def test_each_says_where_and_what(route: str, problem: str) -> None:
    base = {"name": "name: a", "match": "match: {path: /a}"}
    lines = [line for key, line in base.items() if not route.startswith(f"{key}:")]
    text = "routes:\n- " + "\n  ".join([*lines, route])
    problems = problems_of(text)

    line = 3 + len(lines) if len(problems) == 1 else None
    assert any(found.partition(": ")[2].startswith(f"routes[0].{problem}") for found in problems), problems
    if line is not None and "\n" not in route:
        assert problems[0].startswith(f"f.yaml:{line}: ")


def test_what_must_be_there() -> None:
    assert [problem.partition(";")[0] for problem in problems_of("routes:\n- {}\n- x\n")] == [
        "f.yaml:3: routes[0].name: is missing",
        "f.yaml:3: routes[0].match: is missing",
        "f.yaml:4: routes[1]: is 'x'",
    ]


def test_names_are_of_one_route_each() -> None:
    assert problems_of("routes:\n- {name: a, match: {path: /}}\n- {name: a, match: {path: /b}}\n") == [
        "f.yaml:4: routes[1].name: is the name of routes[0], too; receipts could not tell them apart"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("defaults: {in_doubt: resend}", f"f.yaml:2: defaults.in_doubt: {WINDOW}"),
        (
            "defaults: {in_doubt: probe}",
            "f.yaml:2: defaults.in_doubt: probe needs a probe, which each route has of its own; set it there",
        ),
        ("defaults: {scope: [x]}", f"f.yaml:2: defaults.scope[0]: is 'x'; {SOURCE}"),
    ],
)
def test_the_same_in_the_defaults(text: str, problem: str) -> None:
    assert problems_of(text) == [problem]


def test_a_window_may_come_from_the_defaults() -> None:
    route = "routes: [{name: a, match: {path: /}, in_doubt: resend}]"

    assert settings_of("defaults: {upstream_window: 1h}\n" + route).routes[0].upstream_window is None


def test_what_the_environment_filled_in_is_not_shown() -> None:
    [problem] = problems_of("routes: [{name: a, match: {path: '${P}'}}]", environ={"P": "secret"})

    assert problem == f"f.yaml:2: routes[0].match.path: {PATH}"


def test_all_mistakes_are_told_at_once_also_those_between_settings() -> None:
    problems = problems_of(
        "listen: x\n"
        "defaults: {mode: y, in_doubt: resend}\n"
        "routes:\n- {name: a, match: {path: z}, outcomes: {completed: [500], released: [500, 500]}}\n"
    )

    assert [problem.split(":")[1] for problem in problems] == ["2", "3", "3", "5", "5", "5"]


def test_values_that_are_nothing_of_what_is_meant_do_no_harm() -> None:
    values: list[Any] = [None, 1, "x", [], {}, [None], [[]]]
    for value in values:
        for section in ("match", "identity", "outcomes", "probe", "inject_key", "in_doubt", "name", "guard"):
            assert list(contradictions({"routes": [{section: value}], "defaults": value})) is not None
