"""Server-Sent Events (HTML Living Standard §9.2): their data read, or changed and nothing else.

An event ends with an empty line; its data are its ``data`` fields, one a line, joined by line feeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onceproxy.core.jsonrpc_ids import Edit, Renumbering

EVENT_STREAM = "text/event-stream"

_END = re.compile(rb"\r\n|\n|\r")
_DATA = re.compile(rb"data(?:: ?|\Z)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class _DataLine:
    """A ``data`` field: the name and colon, the text, the end of the line."""

    name: bytes
    text: str
    end: bytes


_Line = _DataLine | bytes


def event_data(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the data of each event. A last one without an empty line behind it is read like the others."""
    for event in _events(chunks):
        if data := [line.text for line in event if isinstance(line, _DataLine)]:
            yield "\n".join(data)


def renumbered(chunks: Iterable[bytes], ids: Renumbering) -> Iterator[bytes]:
    """Yield a stream of events with the ids of response messages changed, whatever pieces it comes in."""
    for event in _events(chunks):
        lines = [line for line in event if isinstance(line, _DataLine)]
        for edit in reversed(ids.edits("\n".join(line.text for line in lines))):
            _change(lines, edit)
        yield b"".join(
            line.name + line.text.encode("utf-8") + line.end if isinstance(line, _DataLine) else line
            for line in event
        )


def _change(lines: list[_DataLine], edit: Edit) -> None:
    """Carry out an edit of the joined data; it lies in one line: no id holds a line feed."""
    before = 0
    for line in lines:
        if edit.start < before + len(line.text):
            line.text = line.text[: edit.start - before] + edit.text + line.text[edit.end - before :]
            return
        before += len(line.text) + 1


def _events(chunks: Iterable[bytes]) -> Iterator[list[_Line]]:
    """Yield the lines of each event, the empty one behind it included."""
    event: list[_Line] = []
    mark = _BYTE_ORDER_MARK  # one may stand before the first line
    for content, end in _lines(chunks):
        bare = content.removeprefix(mark)
        if len(bare) != len(content):
            event.append(mark)
        mark = b""
        event.append(_read(bare, end))
        if not bare:
            yield event
            event = []
    if event:
        yield event


def _read(content: bytes, end: bytes) -> _Line:
    name = _DATA.match(content)
    if name is None:
        return content + end
    try:
        return _DataLine(name[0], content[name.end() :].decode("utf-8"), end)
    except UnicodeDecodeError:
        return content + end


def _lines(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield lines and their ends; the last line may have none."""
    rest = bytearray()
    for chunk in chunks:
        look_from = max(0, len(rest) - 1)  # a carriage return may be waiting for its line feed
        rest += chunk
        at = 0
        for end in _END.finditer(rest, look_from):
            if end[0] == b"\r" and end.end() == len(rest):
                break
            yield bytes(rest[at : end.start()]), bytes(end[0])
            at = end.end()
        del rest[:at]
    if rest:
        content = bytes(rest).removesuffix(b"\r")
        yield content, bytes(rest[len(content) :])
