"""What upstreams and clients wrote, for people: secrets hidden, controls visible, never more than fits."""

from __future__ import annotations

from dataclasses import dataclass

from onceproxy.admin.page.hiding import hidden_in_json, hidden_in_text
from onceproxy.core.canonical import NotCanonical, media_type
from onceproxy.core.codings import decode
from onceproxy.core.contents import content_codings
from onceproxy.core.credential import carries_credential
from onceproxy.core.masking import MASK, is_secret_name, masked_text
from onceproxy.core.messages import RawHeaders
from onceproxy.core.visible import visible

READ = 64 * 1024  # bytes of a body that is looked into: whoever shows it also serves clients
_CHARACTERS = 16_000  # of a body; what follows is left out
_LINE = 2_000  # characters of a header's value, a detail, a URL
_BYTES = 256  # of a body that is no text
_HEADERS = 100


@dataclass(frozen=True, slots=True)
class ShownBody:
    """A body, or a part of one. ``remark`` says what is not as it was sent."""

    text: str
    remark: str = ""


def line(text: str, most: int = _LINE) -> str:
    """Return a text of others in one line of at most ``most`` characters, controls visible, tokens hidden."""
    whole = visible(masked_text(text[: most + 1]))
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def headers(lines: RawHeaders) -> list[tuple[str, str]]:
    """Return header lines for people: values of secrets hidden, and a hundred at most."""
    shown = [_header(name, value) for name, value in lines[:_HEADERS]]
    if len(lines) > _HEADERS:
        shown.append(("…", f"{len(lines) - _HEADERS} more"))
    return shown


def body(data: bytes, lines: RawHeaders) -> ShownBody:
    """Return a body of at most ``READ`` bytes for people. ``lines`` are the headers that it came with."""
    remarks = []
    if codings := content_codings(lines):
        try:
            data = decode(data, codings)
        except NotCanonical:
            return _dump(data, "It is coded in a way that can’t be read: these are its first bytes.")
        remarks.append("Its content coding was taken off.")
        if len(data) > READ:
            data, cut = data[:READ], "It holds more."
            remarks.append(cut)
    text = _text(data, media_type(lines))
    if text is None:
        return _dump(data, "It is no text: these are its first bytes.")
    if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        text = hidden_in_json(text)
        remarks.append("JSON, laid out anew.")
    else:
        text = hidden_in_text(text)
    if len(text) > _CHARACTERS:
        text = text[:_CHARACTERS]
        remarks.append("Only its beginning is shown.")
    if MASK in text:
        remarks.append(f"What has the name or the look of a secret is hidden: {MASK}")
    return ShownBody(visible(text.replace("\r\n", "\n"), keep="\n\t"), " ".join(remarks))


def _header(name: bytes, value: bytes) -> tuple[str, str]:
    shown = name.decode("latin-1")
    if carries_credential(name) or is_secret_name(shown):
        return line(shown, 200), MASK
    return line(shown, 200), line(hidden_in_text(value[:_LINE].decode("latin-1")))


def _text(data: bytes, kind: str) -> str | None:
    """Return a body as text, but for a character that was cut at its end; None where it is none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start > 0:
            return data[: error.start].decode("utf-8")
    return data.decode("latin-1") if kind.startswith("text/") else None


def _dump(data: bytes, remark: str) -> ShownBody:
    part = data[:_BYTES]
    rows = [part[at : at + 16] for at in range(0, len(part), 16)]
    return ShownBody("\n".join(_row(at * 16, row) for at, row in enumerate(rows)), remark)


def _row(at: int, row: bytes) -> str:
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{at:04x}  {row.hex(' '):47}  {letters}"
