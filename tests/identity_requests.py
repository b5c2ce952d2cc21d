"""Requests that the tests of identity are about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onceproxy.core.contents import Content
from onceproxy.core.fingerprints import CanonicalBody, canonical_form
from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request
from onceproxy.core.rules import BodyForm, BodyRules, FingerprintRules, Selection

API = Origin("https", "api.example.com", 443)
JSON: RawHeaders = ((b"Content-Type", b"application/json"),)
FORM: RawHeaders = ((b"Content-Type", b"application/x-www-form-urlencoded"),)


def post(
    body: bytes = b"", headers: RawHeaders = JSON, target: bytes = b"/v1/charges", **changes: Any
) -> Request:
    return replace(Request("POST", API, target, headers, BytesBody(body)), **changes)


def with_headers(request: Request, *lines: tuple[bytes, bytes]) -> Request:
    return replace(request, headers=(*request.headers, *lines))


def a_multipart(*parts: tuple[str, bytes], boundary: bytes = b"b1", kind: bytes = b"form-data") -> Request:
    body = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (boundary, name.encode(), content)
        for name, content in parts
    )
    headers = ((b"Content-Type", b"multipart/%s; boundary=%s" % (kind, boundary)),)
    return post(body + b"--%s--\r\n" % boundary, headers)


def body_rules(
    form: BodyForm, include: tuple[str, ...] | None = None, exclude: tuple[str, ...] = ()
) -> FingerprintRules:
    return FingerprintRules(body=BodyRules(form, Selection(include, exclude)))


def digest(request: Request, rules: FingerprintRules | None = None) -> bytes:
    return canonical_form(request, Content(request), rules or FingerprintRules(), 1).digest


def body_of(request: Request, rules: FingerprintRules | None = None) -> CanonicalBody:
    return canonical_form(request, Content(request), rules or FingerprintRules(), 1).body
