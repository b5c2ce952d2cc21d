"""One response, from bytes: llhttp in its strict mode, plus the checks that a proxy owes its clients.

Bare line feeds, folded lines, repeated or contradicting lengths and control characters are refused by the
parser itself (http-garden's classes of response bugs). Here are added: the version, transfer codings other
than chunked, the size of the head, and what lies behind the end. How the bytes were cut up on their way makes
no difference.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

import httptools

from onceproxy.core.hygiene import end_to_end
from onceproxy.core.messages import Interim, RawHeaders, header_values

SWITCHING = 101
_PROTOCOL = b"HTTP/1."
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_END_OF_HEAD = b"\r\n\r\n"  # bare line feeds are refused, so there is no other


class Malformed(Exception):
    """The upstream sent what is no response of HTTP/1.x; the text says what is wrong, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Head:
    """The status line and the end-to-end headers of the final response.

    ``content_length`` is None where only the end of the body, or of the connection, tells. ``version`` is 1.0
    or 1.1.
    """

    status: int
    reason: bytes
    headers: RawHeaders
    content_length: int | None
    version: str = "1.1"


class ResponseParser:
    """Reads the response to one request; then, where it has ``ended``, the one to the next.

    ``interim`` holds the interim responses (1xx) until they are taken. ``head`` is set when the final head is
    there; ``pieces`` holds the body's bytes until they are taken; ``complete`` says that all has arrived.
    ``reusable`` says that the connection may carry another request. ``rest`` are the bytes behind the head of
    a 101.
    """

    def __init__(self, method: str, max_head: int, *, upgrade: bool = False) -> None:
        self.interim: deque[Interim] = deque()
        self.pieces: deque[bytes] = deque()
        # The two hold one another. Were they made for each response, only the garbage collector would find
        # them, with all that hangs on them.
        self._parser = httptools.HttpResponseParser(self)
        self.begin(method, max_head, upgrade=upgrade)

    def begin(self, method: str, max_head: int, *, upgrade: bool = False) -> None:
        """Get ready for the response to the next request; the last one must have ``ended``."""
        self.head: Head | None = None
        self.complete = False
        self.rest = b""
        self._ended = False
        self._bodiless = method == "HEAD"
        self._upgrade = upgrade
        self._max_head = max_head
        self._head_bytes = 0
        self._tail = b""
        self._beginning = b""
        self._reason = b""
        self._lines: list[tuple[bytes, bytes]] = []
        self._until_close = False
        self._keep_alive = False
        self._extra = False

    @property
    def ended(self) -> bool:
        """Whether it can read another response: llhttp, too, is at the end of one, and all was taken."""
        return self._ended and self.reusable and not self.pieces and not self.interim

    @property
    def reusable(self) -> bool:
        """Whether the response ended where it said, and the upstream keeps the connection open."""
        return self.complete and self._keep_alive and not self._extra

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire.

        Raises:
            Malformed: they are no response.
        """
        while data and self.head is None:
            data = self._feed_head(data)
        if self.head is not None and self.head.status == SWITCHING:
            self.rest += data
        elif not self.complete:
            self._parse(data)
        elif data.strip(b"\r\n"):  # empty lines between two messages are overlooked, as llhttp does
            self._extra = True

    def end(self) -> bool:
        """Take the orderly end of the connection; return whether the response is whole."""
        if self.head is not None and self._until_close:
            self.complete = True
        return self.complete

    def _feed_head(self, data: bytes) -> bytes:
        """Take bytes up to the end of a head, and return what is behind it: only we know what that is."""
        window = self._tail + data
        at = window.find(_END_OF_HEAD)
        end = len(data) if at < 0 else at + len(_END_OF_HEAD) - len(self._tail)
        self._tail = window[1 - len(_END_OF_HEAD) :] if at < 0 else b""
        self._head_bytes += end
        if self._head_bytes > self._max_head:
            raise Malformed(f"its head is larger than {self._max_head} bytes")
        self._beginning = (self._beginning + data[:end]).lstrip(b"\r\n")[: len(_PROTOCOL)]
        self._parse(data[:end])
        if at >= 0:
            self._beginning = b""
        return data[end:]

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # what is behind the head was not handed over
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            if not self._whole():
                raise Malformed(str(error)) from None
            self._extra = True

    def _whole(self) -> bool:
        return self.complete

    # What follows is called by httptools.

    def on_message_begin(self) -> None:
        """Note what begins behind the response."""
        if self.complete:
            self._extra = True

    def on_status(self, status: bytes) -> None:
        """Take a piece of the reason phrase."""
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line."""
        if self.head is None:  # else it is a trailer, which is dropped (RFC 9110 §6.5.1)
            self._lines.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Check the head, and keep it if it is the final one."""
        if self.complete:
            return
        version = self._parser.get_http_version()
        # The parser takes RTSP/1.0 for HTTP/1.0, and any byte in a reason phrase.
        if self._beginning != _PROTOCOL or version not in ("1.0", "1.1"):
            raise Malformed("its version is not HTTP/1.0 or HTTP/1.1")
        if _CONTROL.search(self._reason):
            raise Malformed("its reason phrase holds a control character")
        status = self._parser.get_status_code()
        if status == SWITCHING and not self._upgrade:
            raise Malformed("it switches protocols, and nobody asked for that")
        if status == SWITCHING and not self._parser.should_upgrade():
            raise Malformed("it switches protocols, and does not say to which")
        if status < 100:
            raise Malformed("its status is below 100")
        lines = tuple(self._lines)
        if status < 200 and status != SWITCHING:
            if _announce_body(lines):
                raise Malformed("an interim response of it has a body")
            told = tuple(line for line in end_to_end(lines) if line[0].lower() != b"content-length")
            self.interim.append(Interim(status, self._reason, told, version))
            return
        length = self._framing(status, lines)
        self.head = Head(status, self._reason, end_to_end(lines), length, version)
        # Not after a body that the end of the connection ends, and not after another protocol.
        self._keep_alive = self._parser.should_keep_alive() and status != SWITCHING
        if self._bodiless:
            self.complete = True

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self.complete:
            self._extra = True
        else:
            self.pieces.append(body)

    def on_message_complete(self) -> None:
        """Note the end of a message."""
        if self.head is None:  # an interim response
            self._reason = b""
            self._lines.clear()
        else:
            self._ended = self.complete = True

    def _framing(self, status: int, lines: RawHeaders) -> int | None:
        """Check how the end of the body is told (RFC 9112 §6.3), and return its length if that is how."""
        codings = header_values(lines, "transfer-encoding")
        if codings:
            if [coding.strip().lower() for coding in codings] != [b"chunked"]:
                raise Malformed("its transfer coding is not chunked")
            if self._parser.get_http_version() == "1.0":
                raise Malformed("HTTP/1.0 has no transfer codings")
            if status in (204, SWITCHING):
                raise Malformed(f"a {status} has no transfer coding")
        if self._bodiless or status in (204, 304, SWITCHING):
            # They have no content; a length that such a head states is not that of what follows.
            self._bodiless = True
            return None
        if codings:
            return None
        lengths = header_values(lines, "content-length")
        if not lengths:
            self._until_close = True
            return None
        if len(lengths) > 1 or not lengths[0].isdigit():
            raise Malformed("its Content-Length is not one number")
        return int(lengths[0])


def _announce_body(lines: RawHeaders) -> bool:
    lengths = header_values(lines, "content-length")
    return bool(header_values(lines, "transfer-encoding")) or any(length != b"0" for length in lengths)
