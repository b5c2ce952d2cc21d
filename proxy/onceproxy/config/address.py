"""Where to listen: `HOST:PORT`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Self

from pydantic_core import core_schema

_FORM = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: ``host`` is a name or an address, ``port`` 0 (a free one) to 65535."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read ``HOST:PORT``, an IPv6 address in brackets.

        Raises:
            ValueError: it is not that.
        """
        if isinstance(text, cls):
            return text
        match = _FORM.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError("it must be HOST:PORT, as in 127.0.0.1:8888 or [::1]:8888")
        if int(match["port"]) > 65535:
            raise ValueError("the port must be a number from 0 (a free one) to 65535")
        return cls(_six(match["six"]) if match["six"] else _four_or_name(match["host"]), int(match["port"]))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host.lower() == "localhost"
        # Python counts ::ffff:127.0.0.1 as loopback from 3.13 on only.
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Validate from text and serialise to it, for pydantic."""
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            json_schema_input_schema=core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )


def _six(host: str) -> str:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise ValueError("what is in the brackets must be an IPv6 address, as in [::1]:8888") from None
    return host


def _four_or_name(host: str) -> str:
    if re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError(
                "the host must be a name or an address of four numbers up to 255, as in 127.0.0.1:8888"
            ) from None
    return host
