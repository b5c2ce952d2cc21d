"""The part of a route for bodies that say themselves whether they are actions: JSON-RPC and MCP."""

from __future__ import annotations

from pydantic import Field

from onceproxy.config.fields import Many, OneOrMany, Section
from onceproxy.config.selections import Name, Names, Paths


class ToolSection(Section):
    """What a route says of tools of MCP. The first that fits a tool's name counts."""

    name: OneOrMany[Name] = Field(description="A tool's name, or several; * is any characters.")
    guard: bool = Field(True, description="false: it only reads, and passes.")
    arguments: Paths | None = Field(None, description="Which arguments count; $ is all of them.")


class JsonRpcSection(Section):
    """Which calls are actions, and what of them counts."""

    methods: Names | None = Field(
        None, description="Methods that are actions; * is any characters. Default: tools/call."
    )
    members: Paths | None = Field(None, description="Which members of a message count; $ is the message.")
    tools: Many[ToolSection] = Field((), description="Rules for tools of MCP.")
    trust_annotations: bool = Field(
        False, description="Believe a server which of its tools only read, and which may be called again."
    )
