"""What is too large, too many or too slow. What follows from it for the memory: docs/operating.md."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from onceproxy.config.fields import Duration, Section, Size, Timeout
from onceproxy.config.values import counted, lasting, sized

MOST = 100_000

Count = Annotated[int, BeforeValidator(counted(1, MOST)), Field(ge=1, le=MOST)]
CountOrNone = Annotated[int, BeforeValidator(counted(0, MOST)), Field(ge=0, le=MOST)]


class Limits(Section):
    """What is too large or too slow."""

    request_body: Annotated[Size, AfterValidator(sized("1KiB", "1GiB"))] = Field(
        64 << 20, description="Largest body of a guarded request; a larger one gets 413."
    )
    # A Postgres value ends at 1 GiB, and its escaped form on the wire can be twice the bytes.
    receipt_body: Annotated[Size, AfterValidator(sized("0B", "512MiB"))] = Field(
        16 << 20, description="Largest body that a receipt keeps."
    )
    header: Annotated[Size, AfterValidator(sized("4KiB", "1MiB"))] = Field(
        64 << 10, description="Largest line of a request's head, and largest head of a response."
    )
    spool: Annotated[Size, AfterValidator(sized("1MiB", "1024GiB"))] = Field(
        1 << 30, description="Disk space for answers that the database does not take yet."
    )
    receipt_cache: Annotated[Size, AfterValidator(sized("0B", "64GiB"))] = Field(
        64 << 20,
        description="Memory for the receipts that were replayed last; 0: each replay asks the database.",
    )
    memory: Annotated[Size, AfterValidator(sized("0B", "64GiB"))] = Field(
        64 << 20, description="Memory for the bodies of guarded requests and their answers, together."
    )
    temporary: Annotated[Size, AfterValidator(sized("1MiB", "1024GiB"))] = Field(
        4 << 30, description="Disk space for those that it does not hold; requests may fill half of it."
    )
    header_lines: Count = Field(128, description="How many header lines a request may have.")
    head: Annotated[Size, AfterValidator(sized("4KiB", "16MiB"))] = Field(
        128 << 10, description="Largest head of a request, all lines together."
    )
    connections: Count = Field(1000, description="Connections of clients, in all; beyond that 503.")
    connections_per_client: Count = Field(500, description="Connections of one client address.")
    tunnels: CountOrNone = Field(500, description="Opaque tunnels and upgraded connections; beyond that 503.")
    certificates: Count = Field(1024, description="Certificates of intercepted hosts that are kept.")
    certificates_per_minute: Count = Field(600, description="How many are made in a minute; beyond that 503.")
    executions: Count = Field(512, description="Guarded requests that are under way at once.")
    executions_per_user: Count = Field(
        256, description="How many of them one proxy user may have, and as many again in the queue."
    )
    queue: CountOrNone = Field(512, description="Requests that wait for one of them to end; beyond that 503.")
    queue_timeout: Timeout = Field(30.0, description="Time that a request waits in the queue; after it 503.")
    waiters: CountOrNone = Field(512, description="Copies that wait for the one at work; beyond that 409.")
    waiters_per_action: CountOrNone = Field(128, description="How many of them may wait for one action.")
    head_timeout: Timeout = Field(10.0, description="Time for a request's head to arrive.")
    body_timeout: Timeout = Field(30.0, description="Time that a request's body may stand still.")
    body_rate: Annotated[Size, AfterValidator(sized("0B", "1MiB"))] = Field(
        500, description="Bytes a second that must arrive of a body, over that time."
    )
    drain_timeout: Timeout = Field(30.0, description="Time that a client may take nothing of an answer.")
    tunnel_idle_timeout: Timeout = Field(600.0, description="Time in which nothing may move in a tunnel.")
    idle_timeout: Timeout = Field(75.0, description="Time a client may idle between requests.")
    connect_timeout: Timeout = Field(10.0, description="Time to find and reach an upstream.")
    upstream_timeout: Timeout = Field(600.0, description="Time for the whole response of an upstream.")
    database_timeout: Timeout = Field(
        30.0, description="Time that a start waits for a database which does not answer."
    )
    lease: Annotated[Duration, AfterValidator(lasting("1s", "1h"))] = Field(
        20.0, description="A proxy that is silent for this long counts as dead."
    )
