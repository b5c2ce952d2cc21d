"""The sections that say how the proxy itself runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from onceproxy.config.address import Address
from onceproxy.config.fields import Duration, Section, Size, Timeout
from onceproxy.config.values import check_host_glob, lasting, read_list, read_upstream_ca, sized

HostGlob = Annotated[str, AfterValidator(check_host_glob)]


class Tls(Section):
    """TLS on both sides."""

    intercept: bool = Field(
        True, description="Open CONNECT tunnels with the local CA; false: all are opaque and unguarded."
    )
    passthrough: Annotated[
        tuple[HostGlob, ...], BeforeValidator(read_list, json_schema_input_type=list[str])
    ] = Field((), description="Host globs whose tunnels stay opaque and unguarded.")
    upstream_ca: Annotated[
        Path | None, BeforeValidator(read_upstream_ca, json_schema_input_type=str | None)
    ] = Field(None, description="PEM file of roots to trust besides the system's.")


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
    head_timeout: Timeout = Field(10.0, description="Time for a request's head to arrive.")
    idle_timeout: Timeout = Field(75.0, description="Time a client may idle between requests.")
    connect_timeout: Timeout = Field(10.0, description="Time to find and reach an upstream.")
    upstream_timeout: Timeout = Field(600.0, description="Time for the whole response of an upstream.")
    database_timeout: Timeout = Field(
        30.0, description="Time that a start waits for a database which does not answer."
    )
    lease: Annotated[Duration, AfterValidator(lasting("1s", "1h"))] = Field(
        20.0, description="A proxy that is silent for this long counts as dead."
    )


class Admin(Section):
    """The admin listener."""

    listen: Address = Field(Address("127.0.0.1", 8889), description="Where health and metrics are told.")
