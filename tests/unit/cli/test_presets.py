"""`onceproxy presets` and what `onceproxy check` says of routes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from onceproxy.cli import main
from onceproxy.config.shipped import load_preset, preset_file, preset_names


def test_presets_are_listed_with_what_they_are_for() -> None:
    result = CliRunner().invoke(main, ["presets"])

    assert result.exit_code == 0
    assert [line.split(maxsplit=1) for line in result.output.splitlines()] == [
        [name, load_preset(name).about] for name in preset_names()
    ]


def test_one_is_printed_as_it_is() -> None:
    result = CliRunner().invoke(main, ["presets", "stripe"])

    assert result.output == preset_file("stripe").read_text("utf-8")


def test_one_that_there_is_not() -> None:
    result = CliRunner().invoke(main, ["presets", "strpe"])

    assert result.exit_code == 2
    assert "strpe: there is no such preset; did you mean stripe?" in result.output


def checked(tmp_path: Path, text: str) -> tuple[int, str, str]:
    path = tmp_path / "onceproxy.yaml"
    path.write_text(f"version: 1\n{text}\n")
    result = CliRunner().invoke(main, ["check", "--config", str(path)])
    return result.exit_code, result.stdout, result.stderr


def test_check_counts_routes(tmp_path: Path) -> None:
    one = "routes: [{name: a, match: {path: /a}}]"

    assert "no routes: every mutation is guarded as `defaults` say" in checked(tmp_path, "")[1]
    assert checked(tmp_path, one)[1].endswith("      1 route: 1 of the file\n")
    code, out, err = checked(tmp_path, f"presets: [stripe, openai]\n{one}")
    assert (code, err) == (0, "")
    assert out.endswith("      4 routes: 1 of the file, 3 from stripe, openai\n")


def test_check_warns_of_routes_that_are_never_reached(tmp_path: Path) -> None:
    code, out, err = checked(
        tmp_path, "routes: [{name: all, match: {path: /**}}, {name: narrow, match: {host: a.com, path: /x}}]"
    )

    assert code == 0
    assert out.startswith("fine: ")
    assert err == (
        "warning: routes[1] (narrow) is never reached: all comes before it and takes all that it matches; "
        "put the narrower one first\n"
    )


@pytest.mark.parametrize(
    ("credential", "warned"), [("credential: any, ", True), ("credential: match, ", False), ("", False)]
)
def test_check_warns_of_doubts_that_another_account_could_settle(
    tmp_path: Path, credential: str, warned: bool
) -> None:
    resent = "in_doubt: resend, upstream_window: 1h"
    code, _, err = checked(tmp_path, f"routes: [{{name: a, match: {{path: /a}}, {credential}{resent}}}]")

    assert code == 0
    assert ("warning: routes[0] (a) has credential: any and in_doubt: resend; a copy" in err) is warned


def test_a_route_that_replaces_a_presets_is_no_mistake_but_a_preset_that_does_is(tmp_path: Path) -> None:
    mine = "routes: [{name: mine, match: {host: api.stripe.com, path: /**}}]\npresets: [stripe]"

    assert "stripe/post" not in checked(tmp_path, mine.replace("api.", "**."))[2]
    assert "shopify/graphql) is never reached: graphql" in checked(tmp_path, "presets: [graphql, shopify]")[2]
