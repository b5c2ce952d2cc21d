"""What of a configuration that is read again takes effect."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onceproxy.config.model import every_setting
from onceproxy.config.reload import is_live, merge, stamp_of
from unit.config.loading import settings_of


def test_what_requests_look_up_is_taken_over() -> None:
    old = settings_of("mounts: {/a: 'http://a'}\ndefaults: {ttl: 1h}")
    new = settings_of(
        "mounts: {/b: 'http://b'}\ndefaults: {ttl: 2h, wait: 1s}\nlimits: {request_body: 1KiB}\n"
        "routes: [{name: a, match: {path: /}}]\npresets: [stripe]"
    )

    found = merge(old, new)

    assert found.settings == new
    assert found.changed == (
        "mounts",
        "limits.request_body",
        "defaults.ttl",
        "defaults.wait",
        "routes",
        "presets",
    )
    assert found.postponed == ()


def test_what_needs_a_restart_is_named_and_left_as_it_is() -> None:
    old = settings_of("listen: 127.0.0.1:1")
    new = settings_of(
        "listen: 127.0.0.1:2\ndatabase: postgresql://h/n\ndata_dir: /x\ntls: {intercept: false}\n"
        "limits: {header: 4KiB, request_body: 1KiB}\nadmin: {listen: '127.0.0.1:3'}"
    )

    found = merge(old, new)

    assert found.changed == ("limits.request_body",)
    assert found.postponed == (
        *("listen", "database", "data_dir", "tls.intercept", "limits.header", "admin.listen"),
    )
    assert found.settings == old.model_copy(
        update={"limits": old.limits.model_copy(update={"request_body": 1024})}
    )
    assert merge(found.settings, new).postponed == found.postponed, "it is told until it is done"


def test_the_docs_name_what_takes_effect_without_a_restart() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")
    section = docs[docs.index("## Changing it while it runs") :].partition("\n## ")[0]
    live = {key[0] if key[0] != "limits" else ".".join(key) for key, _ in every_setting() if is_live(key)}

    assert all(f"`{name}`" in section for name in live)
    assert live == {
        *("mounts", "users", "users_file", "egress", "defaults", "routes", "presets"),
        "limits.request_body",
    }


def test_a_stamp_changes_with_what_a_link_leads_to(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("same")
    link = tmp_path / "link"
    link.symlink_to("a")
    before = stamp_of(link)
    os.replace(_linked(tmp_path, "b"), link)

    assert before is not None
    assert stamp_of(link) != before
    assert stamp_of(tmp_path / "none") is None


def _linked(directory: Path, name: str) -> Path:
    link = directory / "new"
    link.symlink_to(name)
    return link


@pytest.mark.parametrize("text", ["", "longer than it was"])
def test_a_stamp_changes_with_the_content(tmp_path: Path, text: str) -> None:
    file = tmp_path / "f"
    file.write_text("x")
    before = stamp_of(file)
    file.write_text(text)

    assert stamp_of(file) != before
