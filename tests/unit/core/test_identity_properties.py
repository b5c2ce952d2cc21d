"""What must hold of identity for every request: it is a function, and never one of too little."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_requests import a_multipart, post, with_headers
from onceproxy.core.canonical import CANONICAL_VERSION, pack
from onceproxy.core.identity import UnknownVersion, examine, identify
from onceproxy.core.messages import Request
from onceproxy.core.rules import (
    PROXY_USER,
    BodyForm,
    BodyRules,
    FingerprintRules,
    IdentityRules,
    Place,
    Selection,
    Source,
)

RULES = IdentityRules(
    scope=(PROXY_USER, Source(Place.HEADER, "Account"), Source(Place.JSON, "$.tenant")),
    fingerprint=FingerprintRules(
        query=Selection(exclude=("nonce",)),
        headers=("X-B", "X-A"),
        body=BodyRules(BodyForm.JSON, Selection(exclude=("$.trace", "$.deep.b"))),
    ),
)
BODY = b'{"deep": {"c": 1e20, "a": [], "b": 2}, "trace": "x", "tenant": "t", "n": 12345678901234567890}'

parts = st.lists(st.binary(max_size=4), max_size=4)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=5)


@given(parts, parts)
def test_no_two_lists_of_parts_are_packed_the_same(one: list[bytes], other: list[bytes]) -> None:
    assert (pack(one) == pack(other)) is (one == other)


@given(parts, parts, st.integers(0, 8))
def test_nor_lists_of_lists(one: list[bytes], other: list[bytes], at: int) -> None:
    assert (pack([pack(one[:at]), pack(one[at:])]) == pack([pack(other[:at]), pack(other[at:])])) is (
        one == other
    )


requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["POST", "PUT"]),
        "path": values,
        "query": values,
        "tenant": values,
        "a": values,
        "account": values,
        "user": values,
        "action": values,
        "key": st.sampled_from(["", "k1", "k2"]),
        "nonce": values,
        "trace": values,
    }
)
EXCLUDED = {"nonce", "trace"}
NOT_OF_A_KEY = {"method", "path", "query", "a"}


def made(parts: dict[str, Any]) -> bytes:
    query = f"q={parts['query'].encode().hex()}&nonce={parts['nonce'].encode().hex()}"
    target = f"/{parts['path'].encode().hex()}?{query}".encode()
    body = json.dumps({"tenant": parts["tenant"], "a": parts["a"], "trace": parts["trace"]}).encode()
    request = post(body, target=target, method=parts["method"])
    request = with_headers(request, (b"Account", parts["account"].encode()))
    if parts["key"]:
        request = with_headers(request, (b"Idempotency-Key", parts["key"].encode()))
    return identify(request, RULES, user=parts["user"], action=parts["action"].encode()).request_id.digest


@given(requests, requests)
def test_two_requests_are_one_action_exactly_if_all_that_counts_is_the_same(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    for name in one:
        changed = {**one, name: other[name]}
        ignored = EXCLUDED | (NOT_OF_A_KEY if one["key"] and changed["key"] else set())
        same = one[name] == other[name] or name in ignored
        assert (made(changed) == made(one)) is same, name


def everything() -> dict[str, str]:
    """The identities of one request of each kind, under rules that use all there is."""
    lines = ((b"X-A", b"1"), (b"X-B", b"2"), (b"X-B", b"3"), (b"Account", b"acct"))
    seen: dict[str, Request] = {
        "json": with_headers(post(BODY, target=b"/x?nonce=1&b=2&a=1"), *lines),
        "keyed": with_headers(post(BODY), *lines, (b"Idempotency-Key", b'"k"')),
        "multipart": a_multipart(("b", b"1"), ("a", b"2")),
        "bytes": post(b"\xff\0", ()),
    }
    return {
        name: str(identify(request, RULES, user="run-42", action=b"a").request_id)
        for name, request in seen.items()
    }


def test_the_same_in_every_process_and_with_every_order_of_hashes() -> None:
    program = (
        "import json; from unit.core.test_identity_properties import everything;"
        " print(json.dumps(everything()))"
    )
    for seed in ("0", "1", "12345"):
        out = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "tests"},
            capture_output=True,
            text=True,
        )
        assert json.loads(out.stdout or "{}") == everything(), out.stderr


def test_versions_of_the_canonical_form() -> None:
    request = post(BODY)
    assert identify(request, canonical=CANONICAL_VERSION) == identify(request)
    assert identify(request).canonical == CANONICAL_VERSION
    with pytest.raises(UnknownVersion, match="version 999"):
        identify(request, canonical=999)


def test_old_rules_and_new_ones_can_be_laid_side_by_side() -> None:
    request = post(BODY)
    old, new = examine(request), examine(request, RULES)
    assert old.identity.request_id != new.identity.request_id
    assert (old.form.body.read_as, new.form.body.read_as) == ("json", "json")
    assert b"trace" in old.form.body.parts[0]
    assert b"trace" not in new.form.body.parts[0]
    assert new.scope.words == ("json:$.tenant=t",)
