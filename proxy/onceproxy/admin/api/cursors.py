"""Cursors: a place in the list of receipts as an opaque text."""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta

from onceproxy.store.records import Place

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = struct.Struct(">q32s")  # microseconds since the epoch, and the request_id


def cursor_of(place: Place) -> str:
    """Return the cursor of a place."""
    microseconds = (place.created_at - EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(_FORM.pack(microseconds, place.request_id)).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """Return the place of a cursor.

    Raises:
        ValueError: it is none of ours.
    """
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        microseconds, request_id = _FORM.unpack(data)
        return Place(EPOCH + timedelta(microseconds=microseconds), request_id)
    except (binascii.Error, struct.error, OverflowError, UnicodeEncodeError):
        raise ValueError("is no cursor: take the `next` of a page as it is") from None
