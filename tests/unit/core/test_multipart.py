"""Multipart bodies: taken apart strictly, or not at all."""

from __future__ import annotations

import pytest

from onceproxy.core.canonical import NotCanonical
from onceproxy.core.multipart import MAX_PARTS, split_parts

KIND = b"multipart/form-data; boundary=xYz"


def a_part(name: str, content: bytes, *lines: str) -> bytes:
    head = [f'Content-Disposition: form-data; name="{name}"', *lines]
    return "".join(f"{line}\r\n" for line in head).encode() + b"\r\n" + content


def a_body(*parts: bytes, boundary: bytes = b"xYz") -> bytes:
    return b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + b"--%s--\r\n" % boundary


def test_parts_have_names_headers_and_content() -> None:
    one, other = split_parts(
        KIND, a_body(a_part("a", b"1\r\n2"), a_part("f", b"", "Content-Type:  text/csv ", "X-A: b"))
    )
    assert (one.name, one.content) == (b"a", b"1\r\n2")
    assert other.headers == (
        (b"content-disposition", b'form-data; name="f"'),
        (b"content-type", b"text/csv"),
        (b"x-a", b"b"),
    )
    assert (other.name, other.content) == (b"f", b"")


@pytest.mark.parametrize(
    "kind",
    [
        b"multipart/form-data; boundary=xYz; charset=utf-8",
        b'multipart/form-data; charset=utf-8;boundary="xYz"',
        b"multipart/form-data ;\tBOUNDARY = xYz",
    ],
)
def test_spellings_of_the_boundary(kind: bytes) -> None:
    assert len(split_parts(kind, a_body(a_part("a", b"1")))) == 1


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"multipart/form-data", a_body(b"\r\n1")),
        (b"multipart/form-data; boundary=", a_body(b"\r\n1", boundary=b"")),
        (b"multipart/form-data; boundary=xYz; boundary=b", a_body(b"\r\n1")),
        (KIND, b""),
        (KIND, b"--xYz--\r\n"),
        (KIND, b"before\r\n" + a_body(b"\r\n1")),
        (KIND, a_body(b"\r\n1") + b"behind"),
        (KIND, a_body(b"\r\n1").removesuffix(b"--\r\n")),
        (KIND, a_body(b"\r\n1").replace(b"\r\n", b"\n")),
        (KIND, a_body(b"no headers end here")),
        (KIND, a_body(b"Bad header\r\n\r\n1")),
        (KIND, a_body(b" Folded: no\r\n\r\n1")),
        (KIND, a_body(b"\r\nnearly\r\n--xYzz\r\nName: x\r\n\r\na delimiter")),
        (KIND, a_body(*[b"\r\n"] * (MAX_PARTS + 1))),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_does_not_fit_is_not_taken_apart(kind: bytes, body: bytes) -> None:
    with pytest.raises(NotCanonical):
        split_parts(kind, body)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("form-data; name=plain", b"plain"),
        (r'form-data; name="a\"b"; filename="c"', rb"a\"b"),
        ("form-data", None),
        ('form-data; name="a"; name="b"', None),
        ('form-data; name="a"; filename="x; name=b"', None),
    ],
)
def test_the_name_of_a_field(line: str, name: bytes | None) -> None:
    [part] = split_parts(KIND, a_body(f"Content-Disposition: {line}\r\n\r\n1".encode()))
    assert part.name == name
