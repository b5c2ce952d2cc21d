"""The stable part of a credential: the same on each try, another for another account."""

from __future__ import annotations

from base64 import b64encode

import pytest

from onceproxy.core.credential import credential_digest, stable_credential
from onceproxy.core.identity import identify
from onceproxy.core.messages import Origin, Request
from onceproxy.core.rules import IdentityRules, Place, Source

AWS = (
    b"AWS4-HMAC-SHA256 Credential=%s/20261124/us-east-1/sqs/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=%s"
)


def same(one: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> bool:
    return stable_credential((one,)) == stable_credential((other,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((b"Authorization", AWS % (b"AKIA1", b"11")), (b"authorization", AWS % (b"AKIA1", b"22"))),
        (
            (b"Authorization", b'Digest username="u", realm="r", nonce="1", response="x"'),
            (b"Authorization", b'Digest realm="r", nonce="2", username="u", response="y"'),
        ),
        (
            (b"Signature-Input", b'sig1=("@method");created=1;keyid="k1"'),
            (b"Signature-Input", b'sig1=("@method");created=2;keyid="k1"'),
        ),
        (
            (b"Signature-Input", b'sig1=("@method");created=1;nonce="a";alg="ed25519"'),
            (b"Signature-Input", b'sig1=("@path");created=2;alg="ed25519";nonce="b";expires=9'),
        ),
        (
            (b"Authorization", b'Signature keyId="k1",algorithm="hs2019",signature="x"'),
            (b"Authorization", b'Signature keyId="k1",algorithm="hs2019",signature="y"'),
        ),
        ((b"Authorization", b"SharedKey account:1A=="), (b"Authorization", b"SharedKey account:2B==")),
        (
            (b"Authorization", b"HMAC-SHA256 SignedHeaders=x-ms-date;host&Signature=1A=="),
            (b"Authorization", b"HMAC-SHA256 SignedHeaders=x-ms-date;host&Signature=2B=="),
        ),
    ],
)
def test_a_new_signature_of_the_same_signer(one: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((b"Authorization", AWS % (b"AKIA1", b"11")), (b"Authorization", AWS % (b"AKIA2", b"11"))),
        ((b"Authorization", b"Bearer a"), (b"Authorization", b"Bearer b")),
        ((b"Authorization", b"Basic YTpi"), (b"Authorization", b"Bearer YTpi")),
        ((b"X-Api-Key", b"a"), (b"X-Api-Key", b"b")),
        # Nothing in them says who signs, so all of it does.
        ((b"Authorization", b"AWS4-HMAC-SHA256 a"), (b"Authorization", b"AWS4-HMAC-SHA256 b")),
        ((b"Authorization", b'Digest nonce="1"'), (b"Authorization", b'Digest nonce="2"')),
        ((b"Signature-Input", b"sig1=bad"), (b"Signature-Input", b"sig1=(")),
        ((b"Signature-Input", b"sig1=a"), (b"Signature-Input", b"sig1=b")),
        ((b"Signature-Input", b"sig1=();created=1"), (b"Signature-Input", b"sig1=();created=2")),
        ((b"Signature-Input", b'sig1=();keyid="a"'), (b"Signature-Input", b'sig1=();keyid="b"')),
        ((b"Signature-Input", b'sig1=();alg="a"'), (b"Signature-Input", b'sig1=();alg="b"')),
        (
            (b"Signature-Input", b'sig1=();keyid="a"'),
            (b"Signature-Input", b'sig1=();keyid="a", sig2=();keyid="b"'),
        ),
        ((b"Cookie", b"s=1"), (b"Cookie", b"s=2")),
        ((b"Authorization", b"SharedKey a:1A=="), (b"Authorization", b"SharedKey b:1A==")),
        ((b"Authorization", b"SharedKey 1A=="), (b"Authorization", b"SharedKey 2B==")),
        (
            (b"Authorization", b"HMAC-SHA256 Credential=a&SignedHeaders=host&Signature=1A=="),
            (b"Authorization", b"HMAC-SHA256 Credential=b&SignedHeaders=host&Signature=1A=="),
        ),
        ((b"PLAID-SECRET", b"a"), (b"PLAID-SECRET", b"b")),
        ((b"X-Postmark-Server-Token", b"a"), (b"X-Postmark-Server-Token", b"b")),
        ((b"X-Shopify-Access-Token", b"a"), (b"X-Shopify-Access-Token", b"b")),
        ((b"Ocp-Apim-Subscription-Key", b"a"), (b"Ocp-Apim-Subscription-Key", b"b")),
    ],
)
def test_another_signer(one: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> None:
    assert not same(one, other)


def test_the_digest_needs_the_key_and_hides_the_secret() -> None:
    headers = ((b"Authorization", b"Bearer sk_live_secret"),)
    digest = credential_digest(b"k" * 32, headers)
    assert len(digest) == 32
    assert digest != credential_digest(b"l" * 32, headers)
    assert credential_digest(b"k" * 32, ((b"Accept", b"*/*"),)) == b""


def test_headers_in_the_scope_are_no_credential() -> None:
    headers = ((b"authorization", b"Bearer a"), (b"X-Api-Key", b"k"))
    rules = IdentityRules(scope=(Source(Place.HEADER, "Authorization"), Source(Place.QUERY, "x-api-key")))
    assert stable_credential(headers, rules) == stable_credential(headers[1:])
    assert credential_digest(b"k" * 32, headers[:1], rules) == b""


def test_a_route_may_take_any_credential() -> None:
    headers = ((b"Authorization", b"Bearer a"),)
    assert credential_digest(b"k" * 32, headers, IdentityRules(any_credential=True)) == b""
    assert credential_digest(b"k" * 32, headers, IdentityRules()) == credential_digest(b"k" * 32, headers)


def test_of_basic_the_scope_has_the_user_alone_and_the_credential_the_rest() -> None:
    rules = IdentityRules(scope=(Source(Place.HEADER, "Authorization"),))
    one, other, stranger = (
        Request("POST", Origin("https", "h", 443), b"/", ((b"Authorization", b"Basic " + b64encode(who)),))
        for who in (b"bob:hunter2", b"bob:hunter3", b"eve:hunter2")
    )

    assert identify(one, rules).request_id == identify(other, rules).request_id
    assert identify(one, rules).request_id != identify(stranger, rules).request_id
    key = bytes(32)
    assert credential_digest(key, one.headers, rules) != credential_digest(key, other.headers, rules)
    assert credential_digest(key, one.headers, rules) != b""


def test_of_other_schemes_the_scope_has_what_is_the_same_on_each_try() -> None:
    rules = IdentityRules(scope=(Source(Place.HEADER, "Authorization"),))
    values = (b"Bearer t", b"Bearer u", b"Basic ???", b"Basic " + b64encode(b"no colon"))
    requests = [Request("POST", Origin("https", "h", 443), b"/", ((b"Authorization", v),)) for v in values]

    assert len({identify(request, rules).request_id for request in requests}) == len(values)
    assert {credential_digest(bytes(32), request.headers, rules) for request in requests} == {b""}
