"""A receipt as a JSON document: what `receipts show --json`, exports and the admin API say of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from onceproxy.core.receipts import Receipt
from onceproxy.store.catalogue import EventRow, ReceiptRow


def receipt_document(receipt: Receipt, events: tuple[EventRow, ...]) -> dict[str, Any]:
    """Return a receipt with its evidence and its history; the body is told by its size and digest."""
    response = receipt.response
    return {
        "request_id": str(receipt.request_id),
        "state": receipt.state.value,
        "attempt": receipt.attempt,
        "kind": receipt.kind.value,
        "route": receipt.route,
        "method": receipt.method,
        "url": receipt.url,
        "age": round(receipt.age, 3),
        "fingerprint": receipt.fingerprint.hex(),
        "source": receipt.source.value,
        "response": None
        if response is None
        else {
            "status": response.status,
            "reason": response.reason.decode("latin-1"),
            "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in response.headers],
            "partial": receipt.partial,
            "body_kept": receipt.body_kept,
            "body_size": receipt.body_size,
            "body_sha256": receipt.body_digest.hex(),
            "unreadable": receipt.unreadable,
        },
        "evidence": {"phase": receipt.phase, "failure": receipt.failure, "detail": receipt.detail},
        "events": [event_document(event) for event in events],
    }


def event_document(event: EventRow) -> dict[str, Any]:
    """Return an entry of the audit trail."""
    return _plain(asdict(event))


def row_document(row: ReceiptRow) -> dict[str, Any]:
    """Return a line of a list."""
    return _plain(asdict(row)) | {"request_id": str(row.request_id)}


def _plain(members: dict[str, Any]) -> dict[str, Any]:
    return {name: _simple(value) for name, value in members.items()}


def _simple(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
