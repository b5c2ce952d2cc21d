"""The stable part of a credential: the same on each try, another for another account."""

from __future__ import annotations

import pytest

from onceproxy.core.credential import credential_digest, stable_credential

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
        ((b"Cookie", b"s=1"), (b"Cookie", b"s=2")),
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
