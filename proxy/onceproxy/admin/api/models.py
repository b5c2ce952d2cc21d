"""What the API takes and gives. The OpenAPI document is made from these."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from onceproxy.core.receipts import IdentityKind, Source
from onceproxy.core.states import State

MOST = 500  # receipts on a page
USUAL = 50
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110 §5.6.2)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # a field value (RFC 9110 §5.5)


def _header_line(pair: tuple[str, str]) -> tuple[str, str]:
    name, value = pair
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError("is no header line: a name and a value of visible characters")
    return name, value.strip()


class _Given(BaseModel):
    """What somebody sends: a member that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid")


class _Told(BaseModel):
    """What we say: each member is there."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
HeaderLine = Annotated[tuple[str, str], AfterValidator(_header_line)]
SeenState = Literal["claimed", "completed", "released", "in_doubt", "tombstone", "absent"]


class Wanted(_Given):
    """Which receipts, newest first. What is left out means any."""

    state: State | None = Field(None, description="As the next copy of the action would find it.")
    route: Text | None = Field(None, description="Only those of this route.")
    host: Text | None = Field(None, description="Only those sent to this host, with or without its port.")
    scope: Text | None = Field(None, description="Only those with this value among their scope.")
    method: Text | None = Field(None, description="Only those of this method.")
    text: Text | None = Field(None, description="Only those with this in their URL, in any case.")
    since: AwareDatetime | None = Field(None, description="Only those first claimed then or later.")
    until: AwareDatetime | None = Field(None, description="Only those first claimed before.")
    limit: int = Field(USUAL, ge=1, le=MOST, description="At most so many.")
    cursor: Text | None = Field(None, description="The `next` of a page: where to go on.")


class Resolve(_Given):
    """What somebody saw at the upstream."""

    happened: bool = Field(description="Whether the action was done.")
    note: Text = Field(description="How it is known; it goes into the history.")
    by: Text | None = Field(None, description="Who says so; it goes into the history.")
    status: int | None = Field(
        None, ge=200, le=599, description="Of the response that copies get, if it happened. [200]"
    )
    headers: list[HeaderLine] = Field([], max_length=100, description="Header lines of it.")
    body: str | None = Field(None, description="Its body, as text.")


class Purge(_Given):
    """Why a receipt is removed."""

    note: Text = Field(description="Why; it stays in the log.")
    by: Text | None = Field(None, description="Who says so.")


class ReceiptItem(_Told):
    """A receipt in a list, without its response."""

    request_id: str = Field(description="oid_ and 52 letters and digits.")
    state: SeenState = Field(description="What the next copy of the action would find.")
    attempt: int
    kind: IdentityKind
    scope: list[str]
    route: str
    method: str
    url: str
    created_at: datetime = Field(description="When the first attempt was claimed.")
    changed_at: datetime
    expires_at: datetime | None
    status: int | None
    failure: str | None
    conclusion: str | None
    body_size: int | None


class ReceiptPage(_Told):
    """A part of a list."""

    receipts: list[ReceiptItem]
    next: str | None = Field(
        description="The cursor of the next page, which an empty page may have, too; null: there is none."
    )
    looked_at: int = Field(description="How many receipts were looked through for this page.")


class StoredResponse(_Told):
    """The response that is kept, or what had arrived of one that was cut."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    partial: bool
    body_kept: bool
    body_size: int
    body_sha256: str
    unreadable: str | None = Field(description="Why it can't be decrypted.")


class Evidence(_Told):
    """What is known of the last attempt."""

    phase: str | None = Field(description="How far it came.")
    failure: str | None = Field(description="Why there is no response.")
    detail: str


class Event(_Told):
    """An entry of the audit trail. `state` is the receipt's afterwards."""

    event_id: UUID
    at: datetime
    kind: str
    attempt: int
    instance: UUID | None
    state: SeenState
    phase: str | None
    reason: str | None
    detail: str


class ReceiptShown(_Told):
    """A receipt, its evidence and its history."""

    request_id: str
    state: SeenState
    attempt: int
    kind: IdentityKind
    route: str
    method: str
    url: str
    age: float = Field(description="Seconds since it came to its state.")
    fingerprint: str
    source: Source
    response: StoredResponse | None
    evidence: Evidence
    events: list[Event]
    can: list[Literal["resolve", "purge"]] = Field(description="What may be done to it now.")


class Changed(_Told):
    """What became of a change."""

    request_id: str
    state: SeenState
    changed: bool = Field(description="False: the same had been said before.")


class Instance(_Told):
    """A proxy process."""

    instance_id: UUID
    host: str
    pid: int
    version: str
    started_at: datetime
    lease_until: datetime = Field(description="Moves on with each heartbeat while it is alive.")
    ended_at: datetime | None
    alive: bool


class Instances(_Told):
    """The proxies of this database that live, or ended in the last day."""

    instances: list[Instance]


class Route(_Told):
    """A route, and how many of the newest receipts it has."""

    name: str
    configured: bool = Field(description="False: there are receipts of it, and no such route any more.")
    receipts: dict[str, int] = Field(description="By state, as stored.")
    newest: datetime | None


class Routes(_Told):
    """The routes, in the order in which they are tried."""

    routes: list[Route]
    looked_at: int = Field(description="At most so many of the newest receipts were counted.")


class Slice(_Told):
    """A slice of time, and the receipts whose first attempt was claimed in it."""

    at: datetime
    receipts: dict[str, int] = Field(description="By state, as stored.")


class Overview(_Told):
    """What goes on: the last hour by minutes, and what nobody knows."""

    slices: list[Slice] = Field(description="Oldest first; those without receipts are left out.")
    in_doubt: list[ReceiptItem] = Field(description="The newest receipts in doubt.")
    more_in_doubt: bool = Field(description="There may be more than are listed.")
    instances_alive: int
    looked_at: int


class Problem(BaseModel):
    """Why something was not done (RFC 9457)."""

    title: str
    status: int
    detail: str
    field: str | None = Field(None, description="Which parameter or member is wrong.")
