"""The sections that say how the proxy itself runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from onceproxy.config.address import Address
from onceproxy.config.fields import Many, Section, one_or_many
from onceproxy.config.given_secrets import check_variable
from onceproxy.config.texts import check_route_name
from onceproxy.config.values import (
    check_host_glob,
    check_mount_url,
    read_list,
    read_path_or_none,
    read_pem_file,
    read_pem_file_or_none,
    read_upstream_ca,
)

HostGlob = Annotated[str, AfterValidator(check_host_glob)]


PemFile = Annotated[Path, BeforeValidator(read_pem_file, json_schema_input_type=str)]


PemFileOrNone = Annotated[
    Path | None, BeforeValidator(read_pem_file_or_none, json_schema_input_type=str | None)
]


class ClientCertificateSection(Section):
    """Who the proxy is to some hosts, or on some routes."""

    host: HostGlob | None = Field(
        None, description="Host glob that the certificate is shown to; none: only routes that name it use it."
    )
    name: Annotated[str, AfterValidator(check_route_name)] | None = Field(
        None, description="What the client_certificate of routes calls it."
    )
    cert: PemFile = Field(description="PEM file of the certificate, and of those between it and a root.")
    key: PemFile = Field(description="PEM file of its key; nobody but owner and group may read it.")
    password_env: str | None = Field(None, description="The variable that holds the key's password.")


class Ca(Section):
    """The CA that tunnels are opened with."""

    cert: PemFileOrNone = Field(
        None, description="PEM file of a CA that was made elsewhere; null: one of our own, in data_dir."
    )
    key: PemFileOrNone = Field(None, description="PEM file of its key; nobody but its owner may read it.")
    password_env: str | None = Field(None, description="The variable that holds the key's password.")


class Tls(Section):
    """TLS on both sides."""

    intercept: Annotated[
        Annotated[bool, Tag("[one]")]
        | Annotated[tuple[HostGlob, ...], BeforeValidator(read_list), Tag("[many]")],
        Discriminator(one_or_many),
    ] = Field(
        True, description="Open CONNECT tunnels with the local CA; false: none; or host globs: only those."
    )
    passthrough: Annotated[
        tuple[HostGlob, ...], BeforeValidator(read_list, json_schema_input_type=list[str])
    ] = Field((), description="Host globs whose tunnels stay opaque and unguarded.")
    upstream_ca: Annotated[
        Path | None, BeforeValidator(read_upstream_ca, json_schema_input_type=str | None)
    ] = Field(None, description="PEM file of roots to trust besides the system's.")

    client_certificates: Many[ClientCertificateSection] = Field(
        (), description="Certificates that hosts are shown which ask for one; the first that fits."
    )

    ca: Ca = Field(default_factory=Ca, description="The CA that tunnels are opened with.")

    @property
    def opened(self) -> tuple[str, ...]:
        """The host globs whose tunnels are opened."""
        if isinstance(self.intercept, bool):
            return ("*",) if self.intercept else ()
        return self.intercept


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
    url: Annotated[str, AfterValidator(check_mount_url)] | None = Field(
        None, description="Where people reach it, for links in messages of hooks; null: at its address."
    )
