"""Write the JSON Schema of the configuration, which editors complete and check with.

``python -m onceproxy.config.schema [FILE]``; a test holds config/onceproxy.schema.json to this.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from onceproxy.config.model import Settings, every_setting

FILE = Path("config/onceproxy.schema.json")
TITLE = "onceproxy configuration"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """Return the schema as the text of its file."""
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "title": TITLE,
        **_without_titles(Settings.model_json_schema()),
    }
    schema["required"] = ["version"]  # has a default in the model only for settings made without a file
    _write_defaults(schema)
    return json.dumps(schema, indent=2) + "\n"


def _without_titles(node: Any) -> Any:
    """Drop the titles that pydantic makes of names: editors would show them in place of descriptions."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _without_titles(item)
        for name, item in node.items()
        if name != "title" or not isinstance(item, str)
    }


def _write_defaults(schema: dict[str, Any]) -> None:
    """Give each setting its default as people write it: 64KiB, not 65536."""
    for key, _ in every_setting():
        if key == ("data_dir",):
            continue  # another one on each machine
        node, default = schema, Settings().model_dump(mode="json")
        for name in key:
            node, default = node["properties"][name], default[name]
            if "$ref" in node:
                node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        node["default"] = default


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    target.write_text(schema_text(), "utf-8")
