"""What is written about the settings says the same as the model: example, docs and schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from onceproxy.config.document import read_document
from onceproxy.config.load import DEFAULT_FILE, FILE_VARIABLE, VARIABLES, ConfigError, load
from onceproxy.config.model import Settings, every_route_setting, every_setting
from onceproxy.config.schema import schema_text

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "config" / "onceproxy.example.yaml"
SCHEMA = ROOT / "config" / "onceproxy.schema.json"
ROUTES = (ROOT / "docs" / "routes.md").read_text("utf-8")
DOCS = (ROOT / "docs" / "configuration.md").read_text("utf-8")

KEYS = [key for key, _ in every_setting()]
ROUTE_KEYS = [key for key, _ in every_route_setting()]


def test_the_example_has_every_setting_and_no_other_than_the_defaults() -> None:
    assert load(EXAMPLE, environ={}) == Settings()
    assert [key for key in read_document(EXAMPLE).lines if key in KEYS] == KEYS


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_the_example_says_why(key: tuple[str, ...]) -> None:
    line = EXAMPLE.read_text("utf-8").splitlines()[read_document(EXAMPLE).line(key) - 1]

    assert re.search(r" # \S.+ \S+", line)


def test_the_schema_is_up_to_date() -> None:
    assert SCHEMA.read_text("utf-8") == schema_text(), "`make schema` writes it anew"


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_the_schema_describes_each_setting_with_its_default(key: tuple[str, ...]) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    node = schema
    for name in key:
        assert node["additionalProperties"] is False
        described = node["properties"][name]
        node = schema["$defs"][described["$ref"].rpartition("/")[2]] if "$ref" in described else described

    assert described["description"] == dict(every_setting())[key].description
    assert ("default" in described) is (key != ("data_dir",))


def test_the_patterns_of_the_schema_take_what_the_example_has() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    values = read_document(EXAMPLE).values

    for section in ("Limits", "Defaults"):
        for name, node in schema["$defs"][section]["properties"].items():
            [pattern] = [one["pattern"] for one in node.get("anyOf", [{}]) if "pattern" in one] or [None]
            if pattern is None or node["default"] is None:
                continue  # one of a few words, or not set
            assert re.search(pattern, str(values[section.lower()][name]))
            assert re.search(pattern, node["default"])
            assert re.search(pattern, "${NAME}")
            assert not re.search(pattern, "64 potatoes")


def test_the_docs_have_a_row_for_each_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| `(.+?)` \|", DOCS, re.MULTILINE)
    defaults = {**Settings().model_dump(mode="json"), "data_dir": None}

    expected = []
    for key in KEYS:
        value: Any = defaults
        for name in key:
            value = value[name]
        text = value if isinstance(value, str) else json.dumps(value)
        expected.append((".".join(key), text))
    assert rows == expected


def test_the_docs_of_routes_have_a_row_for_each_setting_of_a_route() -> None:
    settings = ROUTES[: ROUTES.index("## Presets")]
    rows = re.findall(r"^\| `([a-z_.]+)` \| ", settings, re.MULTILINE)

    assert len(rows) == len(set(rows))
    assert set(rows) == {".".join(key) for key in ROUTE_KEYS}


@pytest.mark.parametrize("key", ROUTE_KEYS, ids=".".join)
def test_the_schema_describes_each_setting_of_a_route(key: tuple[str, ...]) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    node = schema["$defs"]["RouteSection"]
    for at, name in enumerate(key):
        assert node["additionalProperties"] is False
        described = node["properties"][name]
        if at < len(key) - 1:
            [ref] = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(described)))
            node = schema["$defs"][ref]

    assert described["description"] == dict(every_route_setting())[key].description


def test_the_routes_in_the_docs_are_valid() -> None:
    [routes] = re.findall(r"```yaml\n(routes:.*?)```", ROUTES, re.DOTALL)
    DEFAULT_FILE.write_text(f"version: 1\n{routes}")

    assert [route.name for route in load(environ={}).routes] == ["search", "charges", "orders"]


def test_the_configuration_in_the_readme_is_valid() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    [text] = re.findall(r"```yaml\n(version: 1\n.*?)```", readme, re.DOTALL)
    DEFAULT_FILE.write_text(text)

    assert [route.name for route in load(environ={}).routes] == ["search", "orders"]


def test_the_docs_have_every_variable() -> None:
    rows = re.findall(r"^ *\| `(ONCEPROXY_\w+)` \| `?(.+?)`? \|", DOCS, re.MULTILINE)

    assert dict(rows) == {FILE_VARIABLE: "the file"} | {
        name: ".".join(key) for name, key in VARIABLES.items()
    }


def test_the_errors_in_the_docs_are_real() -> None:
    section = DOCS[DOCS.index("## Errors") :]
    [file] = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    [output] = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    DEFAULT_FILE.write_text(file)

    with pytest.raises(ConfigError) as caught:
        load(environ={"ONCEPROXY_ADMIN_LISTEN": ":8889"})

    assert "\n".join(caught.value.problems) + "\n" == output


def test_the_mounts_in_the_docs_are_valid() -> None:
    [mounts] = re.findall(r"```yaml\n(mounts:.*?)```", DOCS, re.DOTALL)
    DEFAULT_FILE.write_text(f"version: 1\n{mounts}")

    assert len(load(environ={}).mounts) == 3
