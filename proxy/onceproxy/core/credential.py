"""Whose upstream credential a request carries, reduced to what is the same on each try.

A receipt must not be handed to somebody with another credential. SDKs sign each try anew, so a signature is
reduced to who signs; only a keyed digest of the result is ever stored.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import Any, cast

import http_sf

from onceproxy.core.canonical import pack
from onceproxy.core.messages import RawHeaders
from onceproxy.core.rules import IdentityRules, Place, Source

CREDENTIAL_HEADERS = frozenset(
    {
        b"api-key",
        b"apikey",
        b"authorization",
        b"cookie",
        b"ocp-apim-subscription-key",
        b"plaid-secret",
        b"private-token",
        b"signature-input",
        b"x-access-token",
        b"x-api-key",
        b"x-auth-token",
        b"x-goog-api-key",
        b"x-postmark-account-token",
        b"x-postmark-server-token",
        b"x-shopify-access-token",
    }
)
_AUTHORIZATION = len(b"authorization")
_AWS_KEY_ID = re.compile(rb"credential=([^/,\s]+)", re.IGNORECASE)
_DIGEST_MEMBERS = re.compile(rb'(username|realm)\s*=\s*("(?:[^"\\]|\\.)*"|[^,\s]+)', re.IGNORECASE)
_CAVAGE_KEYID = re.compile(rb'keyid\s*=\s*"([^"]*)"', re.IGNORECASE)
_VOLATILE = frozenset({"created", "expires", "nonce"})  # parameters of RFC 9421 §2.3 that each try has anew


def carries_credential(name: bytes) -> bool:
    """Say whether a header of this name (any case) is part of a credential."""
    return name.lower() in CREDENTIAL_HEADERS or name.lower() == b"signature"


def is_for_connection(headers: RawHeaders) -> bool:
    """Say whether a credential may be taken for all that follows on its connection (RFC 4559 §6, NTLM)."""
    for name, value in headers:
        if len(name) != _AUTHORIZATION or name.lower() != b"authorization":
            continue
        if value.strip().partition(b" ")[0].lower() in (b"negotiate", b"ntlm"):
            return True
    return False


def stable_credential(headers: RawHeaders, rules: IdentityRules | None = None) -> bytes:
    """Return the stable parts of all credentials in a request, packed; empty where there is none.

    Headers that the route puts into the scope are left out: they make another action, not another credential.
    But of Basic the scope has the user alone (see ``public_value``), so that one counts here as well.
    """
    in_scope: set[bytes] = set()
    for part in rules.scope if rules is not None else ():
        if isinstance(part, Source) and part.place is Place.HEADER:
            in_scope.add(part.name.lower().encode("ascii"))
    found = []
    for line, value in headers:
        name = line.lower()
        counts = basic_user(value) is not None if name in in_scope else name in CREDENTIAL_HEADERS
        if counts:
            found.append(pack([name, *stable_value(name, value)]))
    return pack(sorted(found))


def credential_digest(
    key: bytes, headers: RawHeaders, rules: IdentityRules | None = None, certificate: bytes = b""
) -> bytes:
    """Return the keyed digest of a request's credential (32 bytes).

    ``certificate`` is who we are to the upstream by a client certificate: another one is another account.
    Empty where there is neither, or its route takes any.
    """
    if rules is not None and rules.any_credential:
        return b""
    stable = stable_credential(headers, rules)
    if certificate:
        stable = pack([b"client-certificate", certificate, stable])
    return hmac.digest(key, stable, "sha256") if stable else b""


def stable_value(name: bytes, value: bytes) -> list[bytes]:
    """Return the parts of a header's value that are the same on each try; if none are known, the value."""
    match name.lower():
        case b"authorization":
            return _stable_authorization(value)
        case b"signature-input":
            return _stable_signature(value)
        case _:
            return [value]


def public_value(name: bytes, value: bytes) -> list[bytes]:
    """Return what of a credential may go into a digest that everybody can make, such as the request_id.

    That is the stable part, but for Basic (RFC 7617) the user alone: a password could be found by trying.
    Tokens are too long for that.
    """
    user = basic_user(value) if name.lower() == b"authorization" else None
    return [b"basic", user] if user is not None else stable_value(name, value)


def basic_user(value: bytes) -> bytes | None:
    """Return the user of a value of Authorization that is Basic (RFC 7617); None: it is not."""
    scheme, _, rest = value.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, _ = base64.b64decode(rest.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return user if colon else None


def _stable_authorization(value: bytes) -> list[bytes]:
    scheme, _, rest = value.strip().partition(b" ")
    scheme = scheme.lower()
    found: list[bytes] = []
    if scheme in (b"bearer", b"basic"):  # nearly all
        return [scheme, rest.strip()]
    if scheme.startswith(b"aws4-"):
        found = _AWS_KEY_ID.findall(rest)
    elif scheme == b"digest":
        found = [member for pair in sorted(_DIGEST_MEMBERS.findall(rest)) for member in pair]
    elif scheme == b"signature":
        found = _CAVAGE_KEYID.findall(rest)
    elif scheme in (b"sharedkey", b"sharedkeylite"):  # Azure Storage: account:signature
        account, colon, _ = rest.strip().partition(b":")
        found = [account] if colon else []
    elif scheme == b"hmac-sha256":  # other Azure services, where the host is the account
        found = [pair for pair in rest.strip().split(b"&") if not pair.lower().startswith(b"signature=")]
    return [scheme, *(found or [rest.strip()])]


def _stable_signature(value: bytes) -> list[bytes]:
    """Reduce Signature-Input (RFC 9421 §4.1) to the keyid, or else to what each try has in common."""
    try:
        signatures = cast("dict[str, tuple[Any, dict[str, Any]]]", http_sf.parse(value, tltype="dictionary"))
    except http_sf.StructuredFieldError:
        return [value]
    stable = []
    for _, (_, parameters) in sorted(signatures.items()):
        who = {"keyid"} if "keyid" in parameters else parameters.keys() - _VOLATILE
        if not who:
            return [value]
        stable.append(pack(part.encode() for name in sorted(who) for part in (name, str(parameters[name]))))
    return stable
