"""What the site has beyond docs/: the README as its first page, references made from the code, linked files.

Hooks of mkdocs: https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from onceproxy.config.schema import schema_text

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\]\((?:\.\./)+(?P<file>[\w./-]+)\)")
"""A link from a page in docs/ to a file of the repository that is outside of it."""
OF_README = re.compile(r"\]\((?!https?:|docs/|#)(?P<file>[\w./-]+)\)")

COMMANDS = """\
# Commands

::: mkdocs-click
    :module: onceproxy.cli.main
    :command: main
    :prog_name: onceproxy
    :depth: 1
    :style: plain
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and the files that pages link to."""
    readme = (ROOT / "README.md").read_text("utf-8")
    linked = {match["file"] for match in OF_README.finditer(readme)}
    for file in files.documentation_pages():
        there = Path(file.abs_src_path or "")
        for match in re.finditer(r"\]\(((?:\.\./)+[\w./-]+)\)", there.read_text("utf-8")):
            target = (there.parent / match[1]).resolve()
            if not target.is_relative_to(ROOT / "docs"):
                linked.add(str(target.relative_to(ROOT)))
    first = OF_README.sub(lambda found: f"]({_copy_of(found['file'])})", readme)
    made = {
        "index.md": first.replace("](docs/", "]("),
        "reference/commands.md": COMMANDS,
        "reference/settings.md": "\n".join(_settings()),
    }
    for name in linked:
        path = ROOT / name
        entries = "".join(f"{entry.name}\n" for entry in sorted(path.iterdir())) if path.is_dir() else None
        made[_copy_of(name)] = entries or path.read_text("utf-8")
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the repository lead to their copies."""
    if page.file.abs_src_path is None:
        return markdown
    up = "../" * page.file.src_uri.count("/")
    here = Path(page.file.abs_src_path).parent

    def copy(found: re.Match[str]) -> str:
        target = (here / found[0][2:-1]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return found[0]
        return f"]({up}{_copy_of(str(target.relative_to(ROOT)))})"

    return OUTSIDE.sub(copy, markdown)


def _copy_of(name: str) -> str:
    return f"files/{name}.txt"


def _settings() -> Iterator[str]:
    """Yield the lines of a page with all settings."""
    schema = json.loads(schema_text())
    yield "# Settings\n"
    yield "Made from the models that read the file. [Configuration](../configuration.md) explains them.\n"
    for name, section in [("Top level", schema), *sorted(schema["$defs"].items())]:
        if "properties" not in section:
            continue
        yield f"## {name}\n"
        if section is not schema:
            yield f"{section.get('description', '')}\n"
        yield "| setting | takes | default | what it does |"
        yield "|---|---|---|---|"
        for setting, node in section["properties"].items():
            default = f"`{json.dumps(node['default'])}`" if "default" in node else ""
            yield f"| `{setting}` | {_takes(node, schema)} | {default} | {node.get('description', '')} |"
        yield ""


def _takes(node: dict[str, Any], schema: dict[str, Any]) -> str:
    """Say in a few words what a setting may be."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        target = schema["$defs"][name]
        return f"[{name}](#{name.lower()})" if "properties" in target else _takes(target, schema)
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_takes(one, schema) for one in node["anyOf"]))
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if node.get("type") == "array":
        return f"list of {_takes(node.get('items', {}), schema)}"
    if "KiB" in node.get("pattern", ""):
        return "size"
    if "(ms|" in node.get("pattern", ""):
        return "duration"
    return str(node.get("type", "anything"))
