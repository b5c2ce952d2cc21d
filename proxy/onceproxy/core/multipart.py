"""Multipart bodies (RFC 2046 §5.1, RFC 7578): their parts, whatever the boundary between them is.

Read strictly. A body that two parsers could take apart differently is compared by its bytes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from onceproxy.core.canonical import NotCanonical, pack

MAX_PARTS = 10_000

_BOUNDARY = re.compile(rb';\s*boundary\s*=\s*(?:"([^"\\]{1,70})"|([^\s;"]{1,70}))\s*(?=;|$)', re.IGNORECASE)
_NAME = re.compile(rb';\s*name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One part. ``headers``: names in lower case, sorted. ``name`` is that of a form's field, or None."""

    headers: tuple[tuple[bytes, bytes], ...]
    name: bytes | None
    content: bytes

    @property
    def canonical(self) -> bytes:
        """The part's headers and the digest of its content, packed."""
        return pack([pack(pack(line) for line in self.headers), hashlib.sha256(self.content).digest()])


def split_parts(content_type: bytes, body: bytes) -> list[Part]:
    """Take a body apart at the boundary that its Content-Type names.

    Raises:
        NotCanonical: no boundary, or a body that does not fit it to the byte.
    """
    boundaries = _BOUNDARY.findall(content_type)
    if len(boundaries) != 1:
        raise NotCanonical("no boundary, or more than one")
    delimiter = b"\r\n--" + (boundaries[0][0] or boundaries[0][1])
    if body.count(delimiter) > MAX_PARTS:
        raise NotCanonical(f"more than {MAX_PARTS} parts")
    before, *parts = (b"\r\n" + body).split(delimiter)
    end = parts.pop() if parts else b""
    if before or not parts or end not in (b"--", b"--\r\n"):
        raise NotCanonical("something before the first part or behind the last one")
    return [_part(text) for text in parts]


def _part(text: bytes) -> Part:
    if not text.startswith(b"\r\n"):
        raise NotCanonical("a delimiter that is none, or only may be one")
    head, gap, content = text.partition(b"\r\n\r\n")
    if not gap:
        raise NotCanonical("a part without an end of its headers")
    lines = []
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise NotCanonical("a part's header that is none")
        lines.append((name.lower(), value.strip()))
    return Part(tuple(sorted(lines)), _field_name(lines), content)


def _field_name(lines: list[tuple[bytes, bytes]]) -> bytes | None:
    dispositions = [value for name, value in lines if name == b"content-disposition"]
    names = [quoted or token for value in dispositions for quoted, token in _NAME.findall(value)]
    return names[0] if len(names) == 1 else None
