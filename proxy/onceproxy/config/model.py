"""What can be set, with its default and its range; docs/configuration.md is the reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic.fields import FieldInfo

from onceproxy.config.address import Address
from onceproxy.config.egress import Egress
from onceproxy.config.encryption import Encryption
from onceproxy.config.fields import Many, Section
from onceproxy.config.hooks import HookSection
from onceproxy.config.limits import Limits
from onceproxy.config.routes import RouteSection
from onceproxy.config.sections import Admin, Tls
from onceproxy.config.shipped import check_preset
from onceproxy.config.treatment import Defaults
from onceproxy.config.users import UserSection
from onceproxy.config.values import (
    EMBEDDED,
    check_database,
    check_database_url,
    check_mount_prefix,
    check_mount_url,
    counted,
    default_data_dir,
    read_boolean,
    read_data_dir,
    read_number,
    read_path_or_none,
    read_via,
    refuse_boolean,
)

__all__ = [
    "Address",
    "Admin",
    "Defaults",
    "Egress",
    "Limits",
    "RouteSection",
    "Settings",
    "Tls",
    "every_route_setting",
    "every_setting",
    "field_of",
    "names_in",
    "section_at",
]

MountPrefix = Annotated[str, AfterValidator(check_mount_prefix)]
MountUrl = Annotated[str, AfterValidator(check_mount_url)]
PresetName = Annotated[str, AfterValidator(check_preset)]

MOST_WORKERS = 64
WorkerCount = Annotated[int, Field(ge=1, le=MOST_WORKERS)]

ITEM = "[]"
"""Stands for any item of a list in the path of a setting."""


class Settings(Section):
    """All settings of a proxy."""

    version: Annotated[Literal[1], BeforeValidator(refuse_boolean)] = Field(
        1, description="The version of this format."
    )
    listen: Address = Field(Address("127.0.0.1", 8888), description="Where clients connect.")
    insecure_listen: Annotated[bool, BeforeValidator(read_boolean, json_schema_input_type=bool)] = Field(
        False, description="Let other machines in without users, and to the admin listener without a token."
    )
    # Not in the repr: it may hold a password.
    database: Annotated[str, AfterValidator(check_database)] = Field(
        EMBEDDED,
        repr=False,
        description="Where receipts live: embedded, or postgresql://user:password@host/name.",
    )
    database_direct: Annotated[str, AfterValidator(check_database_url)] | None = Field(
        None,
        repr=False,
        description="The same one past a pooler in transaction mode that database leads to; null: none.",
    )
    data_dir: Annotated[Path, BeforeValidator(read_data_dir, json_schema_input_type=str | None)] = Field(
        default_factory=default_data_dir,
        description="Where the CA, the spool and the embedded database live. null: the platform's directory.",
    )
    workers: Annotated[
        int,
        BeforeValidator(counted(1, MOST_WORKERS)),
        BeforeValidator(read_number, json_schema_input_type=WorkerCount),
    ] = Field(1, description="Processes that serve on one port; each counts its limits for itself.")
    allow_unsafe_durability: bool = Field(
        False, description="Run on a database with fsync or synchronous_commit off, which may forget."
    )
    via: Annotated[bool | str, BeforeValidator(read_via, json_schema_input_type=bool | str)] = Field(
        True, description="Our name in Via, by which loops are found; false: none is added."
    )
    tls: Tls = Field(default_factory=Tls, description="TLS on both sides.")
    mounts: dict[MountPrefix, MountUrl] = Field(
        default_factory=dict, description="Path prefixes of ours that stand for upstreams."
    )
    users: Many[UserSection] = Field((), repr=False, description="Who may use the proxy; none: anyone.")
    users_file: Annotated[
        Path | None, BeforeValidator(read_path_or_none, json_schema_input_type=str | None)
    ] = Field(None, description="A file of further users, a line NAME:HASH for each.")
    egress: Egress = Field(default_factory=Egress, description="Where requests may go.")
    encryption: Encryption = Field(default_factory=Encryption, description="Encryption of stored answers.")
    limits: Limits = Field(default_factory=Limits, description="What is too large, too many or too slow.")
    defaults: Defaults = Field(default_factory=Defaults, description="How guarded requests are treated.")
    routes: Many[RouteSection] = Field((), description="Rules for requests; the first that matches is it.")
    presets: Many[PresetName] = Field((), description="Shipped rules, tried after the file's own routes.")
    hooks: Many[HookSection] = Field(
        (), repr=False, description="Who is told of unknown outcomes, by signed POSTs."
    )
    admin: Admin = Field(default_factory=Admin, description="The admin listener.")

    @property
    def listens_beyond_loopback(self) -> bool:
        """Whether other machines can reach the proxy."""
        return not self.listen.is_loopback


def section_at(key: tuple[str | int, ...]) -> type[BaseModel] | None:
    """Return the model of the section at ``key``, or None if there is a value, a list or nothing."""
    section: type[BaseModel] = Settings
    in_list = False
    for name in key:
        if isinstance(name, int) or name == ITEM:
            in_list = False
            continue
        field = field_of(section, name)
        inner = _section_in(field.annotation) if field is not None else None
        if field is None or inner is None:
            return None
        section, in_list = inner, get_origin(field.annotation) is tuple
    return None if in_list else section


def field_of(section: type[BaseModel], name: str) -> FieldInfo | None:
    """Return the field that is written as ``name``."""
    for attribute, field in section.model_fields.items():
        if (field.alias or attribute) == name:
            return field
    return None


def names_in(section: type[BaseModel]) -> list[str]:
    """Return the names of a section's settings as they are written."""
    return [field.alias or attribute for attribute, field in section.model_fields.items()]


def every_setting(key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield all settings that hold a value, with their paths; a section's own are in its place."""
    section = section_at(key)
    assert section is not None
    for attribute, field in section.model_fields.items():
        inside = (*key, field.alias or attribute)
        is_section = section_at(inside) is not None
        if not is_section or _section_in(field.annotation) is not field.annotation:
            yield inside, field  # a value, or a section that may also be a word, a list or nothing
        if is_section:
            yield from every_setting(inside)


def every_route_setting() -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield all settings of a route, likewise, with paths from the route on."""
    for key, field in every_setting(("routes", ITEM)):
        yield key[2:], field


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that is in an annotation: itself, an item, or one of several things."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)
