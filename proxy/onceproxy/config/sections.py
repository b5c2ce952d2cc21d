"""The sections that say how the proxy itself runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from onceproxy.config.address import Address
from onceproxy.config.fields import Section
from onceproxy.config.given_secrets import check_variable
from onceproxy.config.values import check_host_glob, read_list, read_path_or_none, read_upstream_ca

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


class Admin(Section):
    """The admin listener."""

    listen: Address = Field(Address("127.0.0.1", 8889), description="Where health and metrics are told.")
    # Not in the repr: people write the token where its place is meant.
    token_env: Annotated[str, AfterValidator(check_variable)] | None = Field(
        None, repr=False, description="The environment variable that holds the token one has to show."
    )
    token_file: Annotated[
        Path | None, BeforeValidator(read_path_or_none, json_schema_input_type=str | None)
    ] = Field(None, repr=False, description="A file that holds the token in one line.")
    hosts: Annotated[tuple[HostGlob, ...], BeforeValidator(read_list, json_schema_input_type=list[str])] = (
        Field((), description="Names it is asked under, besides localhost and addresses.")
    )
