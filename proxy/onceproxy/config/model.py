"""What can be set, with its default and its range; docs/configuration.md is the reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.fields import FieldInfo

from onceproxy.config.address import Address
from onceproxy.config.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from onceproxy.config.values import (
    EMBEDDED,
    check_database,
    check_host_glob,
    check_mount_prefix,
    check_mount_url,
    default_data_dir,
    lasting,
    read_data_dir,
    read_list,
    read_upstream_ca,
    refuse_boolean,
    sized,
)
from onceproxy.core.policies import AfterTtl, Duplicate, InDoubt, Mode

__all__ = ["Address", "Admin", "Defaults", "Limits", "Settings", "Tls", "every_setting", "section_at"]

# Editors check the file before ${NAME} is filled in.
_OR_REFERENCE = r"^({})$|\$\{{"
_DurationText = Annotated[str, Field(pattern=_OR_REFERENCE.format(DURATION_PATTERN))]
_SizeText = Annotated[str, Field(pattern=_OR_REFERENCE.format(SIZE_PATTERN))]
_Bytes = Annotated[int, Field(ge=0)]

Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=_DurationText | Literal[0]),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size, json_schema_input_type=_SizeText | _Bytes),
    PlainSerializer(format_size, return_type=str, when_used="json"),
]
Timeout = Annotated[Duration, AfterValidator(lasting("1ms", "24h"))]
HostGlob = Annotated[str, AfterValidator(check_host_glob)]
MountPrefix = Annotated[str, AfterValidator(check_mount_prefix)]
MountUrl = Annotated[str, AfterValidator(check_mount_url)]


class _Section(BaseModel):
    # Inputs are hidden in errors because they may hold a password; `wording` shows what may be shown.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Tls(_Section):
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


class Limits(_Section):
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
    head_timeout: Timeout = Field(10.0, description="Time for a request's head to arrive.")
    idle_timeout: Timeout = Field(75.0, description="Time a client may idle between requests.")
    connect_timeout: Timeout = Field(10.0, description="Time to find and reach an upstream.")
    upstream_timeout: Timeout = Field(600.0, description="Time for the whole response of an upstream.")
    database_timeout: Timeout = Field(
        30.0, description="Time that a start waits for a database which does not answer."
    )


class Defaults(_Section):
    """How guarded requests are treated."""

    ttl: Annotated[Duration, AfterValidator(lasting("1ms", "3650d"))] = Field(
        86_400.0, description="How long a receipt answers copies."
    )
    after_ttl: AfterTtl = Field(
        AfterTtl.NEW, strict=False, description="What a later copy is: new, or refused while remembered."
    )
    tombstone: Annotated[Duration, AfterValidator(lasting("0", "3650d"))] = Field(
        2_592_000.0, description="How long it is remembered after the ttl that an action happened."
    )
    duplicate: Duplicate = Field(
        Duplicate.WAIT, strict=False, description="What a copy does that meets one at work: wait or conflict."
    )
    wait: Annotated[Duration, AfterValidator(lasting("0", "1h"))] = Field(
        30.0, description="How long a copy waits for the one at work."
    )
    in_doubt: InDoubt = Field(
        InDoubt.REFUSE, strict=False, description="What a copy gets when nobody knows whether it happened."
    )
    upstream_window: Annotated[Duration, AfterValidator(lasting("1s", "3650d"))] | None = Field(
        None, description="How long after the first attempt the upstream knows a copy; resend needs it."
    )
    mode: Mode = Field(
        Mode.ENFORCE, strict=False, description="enforce, observe (send all, record) or off (pass through)."
    )
    reuse_idle: Annotated[Duration, AfterValidator(lasting("0", "1h"))] = Field(
        1.0, description="Guarded requests reuse an upstream connection idle for less than this."
    )


class Admin(_Section):
    """The admin listener."""

    listen: Address = Field(Address("127.0.0.1", 8889), description="Where health is told.")


class Settings(_Section):
    """All settings of a proxy."""

    version: Annotated[Literal[1], BeforeValidator(refuse_boolean)] = Field(
        1, description="The version of this format."
    )
    listen: Address = Field(Address("127.0.0.1", 8888), description="Where clients connect.")
    # Not in the repr: it may hold a password.
    database: Annotated[str, AfterValidator(check_database)] = Field(
        EMBEDDED,
        repr=False,
        description="Where receipts live: embedded, or postgresql://user:password@host/name.",
    )
    data_dir: Annotated[Path, BeforeValidator(read_data_dir, json_schema_input_type=str | None)] = Field(
        default_factory=default_data_dir,
        description="Where the local CA and the embedded database live. null: the platform's directory.",
    )
    allow_unsafe_durability: bool = Field(
        False, description="Run on a database with fsync or synchronous_commit off, which may forget."
    )
    tls: Tls = Field(default_factory=Tls, description="TLS on both sides.")
    mounts: dict[MountPrefix, MountUrl] = Field(
        default_factory=dict, description="Path prefixes of ours that stand for upstreams."
    )
    limits: Limits = Field(default_factory=Limits, description="What is too large or too slow.")
    defaults: Defaults = Field(default_factory=Defaults, description="How guarded requests are treated.")
    admin: Admin = Field(default_factory=Admin, description="The admin listener.")

    @property
    def listens_beyond_loopback(self) -> bool:
        """Whether other machines can reach the proxy."""
        return not self.listen.is_loopback


def section_at(key: tuple[str | int, ...]) -> type[BaseModel] | None:
    """Return the model of the section at ``key``, or None if there is a value, a list or nothing."""
    section: type[BaseModel] = Settings
    for name in key:
        field = section.model_fields.get(str(name))
        inner = field.annotation if field is not None else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return None
        section = inner
    return section


def every_setting(key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield all settings that hold a value, with their paths; a section's own are in its place."""
    section = section_at(key)
    assert section is not None
    for name, field in section.model_fields.items():
        if section_at((*key, name)) is not None:
            yield from every_setting((*key, name))
        else:
            yield (*key, name), field
