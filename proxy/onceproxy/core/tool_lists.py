"""What a server of MCP says of its tools: the answers to ``tools/list``, read in passing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onceproxy.core.event_streams import EVENT_STREAM, event_data
from onceproxy.core.jsonrpc import Hints
from onceproxy.core.jsonrpc_text import written_messages

TOOL_LIST = "tools/list"


def listed_tools(media_type: str, body: bytes) -> dict[str, Hints]:
    """Return the tools that an answer lists, by name; none where it is no such answer."""
    texts = event_data([body]) if media_type == EVENT_STREAM else [body.decode("utf-8", "replace")]
    return {name: hints for text in texts for name, hints in _listed(text)}


def _listed(text: str) -> Iterator[tuple[str, Hints]]:
    try:
        messages = written_messages(text)
    except (ValueError, RecursionError):
        return
    for message in messages:
        result = message["result"].value if "result" in message else None
        tools = result.get("tools") if isinstance(result, dict) else None
        for tool in tools if isinstance(tools, list) else ():
            if isinstance(tool, dict) and isinstance(name := tool.get("name"), str):
                yield name, _hints(tool.get("annotations"))


def _hints(annotations: Any) -> Hints:
    if not isinstance(annotations, dict):
        return Hints()
    return Hints(
        read_only=annotations.get("readOnlyHint") is True,
        idempotent=annotations.get("idempotentHint") is True,
    )
