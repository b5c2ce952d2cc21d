"""A limit that is hit goes by the name of its setting, everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onceproxy.config.load import DEFAULT_FILE, ConfigError, load
from onceproxy.config.model import Limits
from onceproxy.core.limits import Limit

DOCS = (Path(__file__).parents[3] / "docs" / "operating.md").read_text("utf-8")


def test_each_limit_is_a_setting() -> None:
    assert {limit.value for limit in Limit} <= set(Limits.model_fields)


def test_the_docs_say_of_each_limit_what_happens_beyond_it() -> None:
    section = DOCS[DOCS.index("## Limits") :]
    section = section[: section.index("\n## ", 1)]
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| .+ \| .+ \|$", section, re.MULTILINE)

    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert set(named) == {limit.value for limit in Limit}


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "'7'", "true", "100001", "many"])
def test_a_count_is_a_whole_number_in_its_range(value: str) -> None:
    DEFAULT_FILE.write_text(f"version: 1\nlimits: {{executions: {value}}}\n")

    with pytest.raises(ConfigError, match=r"limits\.executions.*it must be a whole number from 1 to 100000"):
        load(environ={})
