"""Each error, with its exact place and words."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.config.load import MAX_PROBLEMS, ConfigError, load
from unit.config.loading import problems_of

TOP = (
    "Allowed here: version, listen, insecure_listen, database, database_direct, data_dir, workers, "
    "allow_unsafe_durability, via, tls, mounts, users, users_file, egress, encryption, limits, defaults, "
    "routes, presets, hooks, admin"
)

TLS = "Allowed here: intercept, passthrough, upstream_ca, client_certificates, ca"
HOST_PORT = "it must be HOST:PORT, as in 127.0.0.1:8888 or [::1]:8888"
DURATION = "it must be a number and its unit, as in 500ms, 30s, 10m, 24h or 30d"
SIZE = "it must be a whole number of bytes, or one with a unit, as in 64KiB, 16MiB or 1GiB"
PATH = "it must be a path; put it in quotes if YAML takes it for something else"
TEXT = "it must be text; put it in quotes if YAML takes it for something else"
MAPPING = "it must be a mapping: lines of the form `key: value` below it, indented"
DATABASE = "it must be embedded or a URL, as in postgresql://user:password@host:5432/name"
VIA = "it must be true, false, or a name of letters, digits and . - _, as in eu-gateway-1"
DIRECTORY = "there is a file of that name; it must be a directory, which is made if missing"
SAME = "is the same as listen; it must have a port of its own, as in 127.0.0.1:8889"
REFERENCE = (
    "after ${ must come the name of an environment variable and }, as in ${NAME}; "
    "write $${ for the text itself"
)
CA = "there is no such file; it must be a PEM file with root certificates, or null"
LIST = "it must be a list, as in [a, b]"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "tls: {ca: {cert: f.yaml}}",
            "2: tls.ca.cert: needs tls.ca.key; a CA is its certificate and its key",
        ),
        ("tls: {ca: {key: f.yaml}}", "2: tls.ca.key: needs tls.ca.cert; a CA is its certificate and its key"),
        (
            "tls: {ca: {cert: none.pem, key: f.yaml}}",
            "2: tls.ca.cert: is 'none.pem'; there is no such file; it must be a PEM file",
        ),
        ("tls: {intercept: maybe}", "2: tls.intercept: is 'maybe'; it must be true or false"),
        (
            "tls: {client_certificates: [{host: a, cert: f.yaml}]}",
            "2: tls.client_certificates[0].key: is missing; it must be there",
        ),
        (
            "tls: {client_certificates: [{cert: f.yaml, key: f.yaml}]}",
            "2: tls.client_certificates[0]: needs a host that it is shown to, "
            "or a name that routes call it by",
        ),
        (
            "database_direct: postgresql://h/d",
            "2: database_direct: is the way past a pooler, and database names none; set that to its URL",
        ),
        (
            "database: postgresql://h/d\ndatabase_direct: embedded",
            "3: database_direct: it must be a URL, as in postgresql://user:password@host:5432/name",
        ),
        (
            "tls: {client_certificates: [&a {name: a, cert: f.yaml, key: f.yaml}, *a]}",
            "2: tls.client_certificates[1].name: is the name of tls.client_certificates[0], too; "
            "each has its own",
        ),
        (
            "tls: {client_certificates: [{name: payroll, cert: f.yaml, key: f.yaml}]}\n"
            "routes: [{name: r, match: {path: /r}, client_certificate: payrol}]",
            "3: routes[0].client_certificate: none of tls.client_certificates has this name; "
            "did you mean payroll?",
        ),
        (
            "routes: [{name: r, match: {path: /r}, client_certificate: bank}]",
            "2: routes[0].client_certificate: none of tls.client_certificates has this name; "
            "give one this name",
        ),
        ("listen: 8888", f"2: listen: is 8888; {HOST_PORT}"),
        ("listen:", f"2: listen: is empty; {HOST_PORT}"),
        ("listen: off", f"2: listen: is 'off'; {HOST_PORT}"),
        (
            "listen: 127.0.0.1:99999",
            "2: listen: is '127.0.0.1:99999'; the port must be a number from 0 (a free one) to 65535",
        ),
        ("version: 1", "2: version: is there twice, first in line 1; keep one"),
        (
            "\nlisten: 127.0.0.1:1\nlisten: 127.0.0.1:1",
            "4: listen: is there twice, first in line 3; keep one",
        ),
        (
            "tls:\n  intercept: true\n  intercept: true",
            "4: tls.intercept: is there twice, first in line 3; keep one",
        ),
        (
            "mounts:\n  /a: http://a\n  /a: http://a",
            "4: mounts./a: is there twice, first in line 3; keep one",
        ),
        ("database: mysql://h/n", f"2: database: {DATABASE}"),
        ("database: no", f"2: database: {DATABASE}"),
        ("database: 1", f"2: database: {TEXT}"),
        (
            "database: postgres://u:a b@h",
            "2: database: the URL must hold no spaces and only ASCII; percent-encode what is else",
        ),
        ("data_dir: 1", f"2: data_dir: is 1; {PATH}"),
        ("data_dir: ''", f"2: data_dir: is empty; {PATH}"),
        ('data_dir: "\\0"', f"2: data_dir: is '\\x00'; {PATH}"),
        (
            "data_dir: ~nobody-here/x",
            "2: data_dir: is '~nobody-here/x'; there is no such home directory; write the whole path",
        ),
        ("data_dir: f.yaml", f"2: data_dir: is 'f.yaml'; {DIRECTORY}"),
        ("allow_unsafe_durability: yes", "2: allow_unsafe_durability: is 'yes'; it must be true or false"),
        ("allow_unsafe_durability: 1", "2: allow_unsafe_durability: is 1; it must be true or false"),
        ("via: on", f"2: via: is 'on'; {VIA}"),
        ("via: 1", f"2: via: is 1; {VIA}"),
        ("via: a b", f"2: via: is 'a b'; {VIA}"),
        ("tls:", f"2: tls: is empty; {MAPPING}"),
        ("tls: true", f"2: tls: is true; {MAPPING}"),
        ("tls: []", f"2: tls: is a list; {MAPPING}"),
        ("tls:\n  intercept: off", "3: tls.intercept: is 'off'; it must be true or false"),
        ("tls:\n  passthrough: a.com", f"3: tls.passthrough: is 'a.com'; {LIST}"),
        ("tls:\n  passthrough: {a: b}", f"3: tls.passthrough: is a mapping; {LIST}"),
        ("tls:\n  passthrough:\n  - a.com\n  - 1", f"5: tls.passthrough[1]: is 1; {TEXT}"),
        ("tls:\n  upstream_ca: nope.pem", f"3: tls.upstream_ca: is 'nope.pem'; {CA}"),
        ("mounts: [/a]", f"2: mounts: is a list; {MAPPING}"),
        ("mounts:\n  /a: null", f"3: mounts./a: is empty; {TEXT}"),
        ("mounts:\n  /a: a.com", "3: mounts./a: is 'a.com'; it must be http(s)://host[:port][/path]"),
        ("limits:\n  header: 4095", "3: limits.header: is 4095; it must be from 4KiB to 1MiB"),
        ("limits:\n  header: 2MiB", "3: limits.header: is '2MiB'; it must be from 4KiB to 1MiB"),
        ("limits:\n  request_body: 0", "3: limits.request_body: is 0; it must be from 1KiB to 1GiB"),
        ("limits:\n  request_body: 64MB", f"3: limits.request_body: is '64MB'; {SIZE}"),
        ("limits:\n  receipt_body: 1GiB", "3: limits.receipt_body: is '1GiB'; it must be from 0B to 512MiB"),
        ("limits:\n  head_timeout: 0", "3: limits.head_timeout: is 0; it must be from 1ms to 24h"),
        ("limits:\n  idle_timeout: 1:30", f"3: limits.idle_timeout: is '1:30'; {DURATION}"),
        ("limits:\n  connect_timeout: 10", f"3: limits.connect_timeout: is 10; {DURATION}"),
        (
            "limits:\n  upstream_timeout: 25h",
            "3: limits.upstream_timeout: is '25h'; it must be from 1ms to 24h",
        ),
        ("defaults:\n  ttl: 0", "3: defaults.ttl: is 0; it must be from 1ms to 3650d"),
        ("defaults:\n  ttl: 999999999d", "3: defaults.ttl: is '999999999d'; it must be from 1ms to 3650d"),
        ("defaults:\n  wait: -1s", f"3: defaults.wait: is '-1s'; {DURATION}"),
        ("defaults:\n  wait: 2h", "3: defaults.wait: is '2h'; it must be from 0 to 1h"),
        ("defaults:\n  reuse_idle: true", f"3: defaults.reuse_idle: is true; {DURATION}"),
        ("admin:\n  listen: 127.0.0.1:8888", f"3: admin.listen: {SAME}"),
        ("databse: embedded", f"2: databse: there is no such setting; did you mean database? {TOP}"),
        ("ttl: 24h", f"2: ttl: there is no such setting; did you mean defaults.ttl? {TOP}"),
        ("qqq: 1", f"2: qqq: there is no such setting; {TOP}"),
        ("1: 1", f"2: 1: there is no such setting; {TOP}"),
        ('"a\\nb\\e[31m": 1', f"2: 'a\\nb\\x1b[31m': there is no such setting; {TOP}"),
        (f"{'q' * 100}: 1", f"2: {'q' * 60}…: there is no such setting; {TOP}"),
        (
            "tls: {intercpt: true}",
            f"2: tls.intercpt: there is no such setting; did you mean tls.intercept? {TLS}",
        ),
        ("tls:\n  deep: {down: 1}", f"3: tls.deep: there is no such setting; {TLS}"),
        (
            "listen: ${NAME}",
            "2: listen: the environment has no NAME; set it, or write $${NAME} for the text itself",
        ),
        (
            "tls:\n  passthrough: ['${A}']",
            "3: tls.passthrough[0]: the environment has no A; set it, or write $${A} for the text itself",
        ),
        ("data_dir: ${A:-b}", f"2: data_dir: {REFERENCE}"),
        ("data_dir: ${A", f"2: data_dir: {REFERENCE}"),
    ],
)
def test_each_error_says_where_and_what(text: str, problem: str) -> None:
    assert problems_of(text) == [f"f.yaml:{problem}"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"listen: 127.0.0.1:1\n", "f.yaml:1: version: is missing; write `version: 1`"),
        (b"\n{}", "f.yaml:2: version: is missing; write `version: 1`"),
        (b"\nversion: 2\n", "f.yaml:2: version: is 2; it must be 1"),
        (b"version: '1'\n", "f.yaml:1: version: is '1'; it must be 1"),
        (b"version: true\n", "f.yaml:1: version: is true; it must be 1"),
        (b"version:\n", "f.yaml:1: version: is empty; it must be 1"),
    ],
)
def test_the_version_must_be_there_and_known(data: bytes, problem: str) -> None:
    assert problems_of(data) == [problem]


@pytest.mark.parametrize(
    ("environ", "flags", "problem"),
    [
        ({"ONCEPROXY_LISTEN": "x"}, {}, f"ONCEPROXY_LISTEN: is 'x'; {HOST_PORT}"),
        ({"ONCEPROXY_ADMIN_LISTEN": "x"}, {}, f"ONCEPROXY_ADMIN_LISTEN: is 'x'; {HOST_PORT}"),
        ({"ONCEPROXY_DATABASE": "x"}, {}, f"ONCEPROXY_DATABASE: {DATABASE}"),
        ({"ONCEPROXY_DATA_DIR": "f.yaml"}, {}, f"ONCEPROXY_DATA_DIR: is 'f.yaml'; {DIRECTORY}"),
        ({}, {"listen": ""}, f"--listen: is empty; {HOST_PORT}"),
        ({}, {"database": "x"}, f"--database: {DATABASE}"),
        ({"ONCEPROXY_DATA_DIR": "ok"}, {"data_dir": "f.yaml"}, f"--data-dir: is 'f.yaml'; {DIRECTORY}"),
        ({"ONCEPROXY_ADMIN_LISTEN": "127.0.0.1:8888"}, {}, f"ONCEPROXY_ADMIN_LISTEN: {SAME}"),
    ],
)
def test_errors_outside_of_the_file_name_the_variable_or_flag(
    environ: dict[str, str], flags: dict[str, str], problem: str
) -> None:
    assert problems_of("", environ, flags) == [problem]


def test_a_section_that_is_none_is_told_though_the_environment_sets_a_part_of_it() -> None:
    assert problems_of("admin: 1\n", {"ONCEPROXY_ADMIN_LISTEN": "127.0.0.1:1"}) == [
        f"f.yaml:2: admin: is 1; {MAPPING}"
    ]


def test_all_errors_are_told_at_once_in_the_order_of_the_file() -> None:
    problems = problems_of(
        b"listen: 1\nnope: 1\nlimits:\n  header: 1\n  ttl: ${A}\n  header: 1\ndatabase: x\ndata_dir: ${B}\n",
        {"ONCEPROXY_ADMIN_LISTEN": "x"},
    )

    assert [": ".join(problem.split(": ")[:2]) for problem in problems] == [
        "f.yaml:1: version",
        "f.yaml:1: listen",
        "f.yaml:2: nope",
        "f.yaml:4: limits.header",
        "f.yaml:5: limits.ttl",
        "f.yaml:6: limits.header",
        "f.yaml:7: database",
        "f.yaml:8: data_dir",
        f"ONCEPROXY_ADMIN_LISTEN: is 'x'; {HOST_PORT}",
    ]


def test_very_many_errors_are_cut() -> None:
    problems = problems_of("".join(f"q{n}: 1\n" for n in range(MAX_PROBLEMS + 5)))

    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == "f.yaml: and 5 more of the kind"


_KEYS = st.sampled_from(
    [
        *("version", "listen", "database", "data_dir", "tls", "mounts", "limits", "defaults", "admin"),
        *("header", "ttl", "passthrough", "upstream_ca", "/a", "x"),
    ]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["1s", "1KiB", "${A}", "http://a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _VALUES))
def test_any_values_are_settings_or_errors_in_one_line_each(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "f.yaml"
    path.write_text(yaml.safe_dump(values))
    try:
        load(path, environ={"A": "b"})
        problems = []
    except ConfigError as error:
        problems = error.problems
    assert all(problem.startswith(f"{path}:") and "\n" not in problem for problem in problems)
