"""`onceproxy ca`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from onceproxy.ingress.authority import Authority
from onceproxy.ingress.constraints import names_of

Invoke = Callable[..., Result]


def test_path_is_the_certificates_file(onceproxy: Invoke, data_dir: Path) -> None:
    result = onceproxy("ca", "path")
    assert result.exit_code == 0
    assert result.stdout == f"{data_dir / 'ca' / 'ca-cert.pem'}\n"
    assert Path(result.stdout.strip()).exists()


def test_show_tells_what_to_compare(onceproxy: Invoke, data_dir: Path) -> None:
    authority = Authority.load_or_create(data_dir / "ca")
    result = onceproxy("ca", "show")
    assert result.exit_code == 0
    assert authority.certificate.subject.rfc4514_string() in result.stdout
    assert authority.fingerprint in result.stdout
    assert len(authority.fingerprint) == 32 * 3 - 1
    assert f"{authority.certificate.not_valid_before_utc:%Y-%m-%d} to " in result.stdout
    assert f"{authority.certificate.not_valid_after_utc:%Y-%m-%d}" in result.stdout
    assert str(authority.certificate_file) in result.stdout
    assert "PRIVATE" not in result.stdout


def test_new_asks_first(onceproxy: Invoke, data_dir: Path) -> None:
    before = Authority.load_or_create(data_dir / "ca").fingerprint
    for answer in ("n\n", "\n", ""):
        assert onceproxy("ca", "new", stdin=answer).exit_code == 1
    assert Authority.load_or_create(data_dir / "ca").fingerprint == before
    assert onceproxy("ca", "new", stdin="y\n").exit_code == 0
    assert Authority.load_or_create(data_dir / "ca").fingerprint != before


def test_new_with_yes_shows_the_new_one(onceproxy: Invoke, data_dir: Path) -> None:
    result = onceproxy("ca", "new", "--yes")
    assert result.exit_code == 0
    assert Authority.load_or_create(data_dir / "ca").fingerprint in result.stdout


def test_a_ca_that_cannot_be_used_is_one_line(onceproxy: Invoke, data_dir: Path) -> None:
    Authority.load_or_create(data_dir / "ca")
    (data_dir / "ca" / "ca-key.pem").chmod(0o644)
    result = onceproxy("ca", "show")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("onceproxy: ")
    assert "`onceproxy ca new`" in result.stderr
    assert result.stderr.count("\n") == 1
    assert onceproxy("ca", "new", "--yes").exit_code == 0
    assert onceproxy("ca", "show").exit_code == 0


def test_a_wrong_configuration_is_told_line_by_line(onceproxy: Invoke) -> None:
    Path("onceproxy.yaml").write_text("version: 1\nlisten: 8888\nlimts: {}\n")
    result = onceproxy("ca", "path")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.split(" ")[0] for line in result.stderr.splitlines()] == [
        "onceproxy.yaml:2:",
        "onceproxy.yaml:3:",
    ]


def test_new_for_some_hosts_only(onceproxy: Invoke, data_dir: Path) -> None:
    result = onceproxy("ca", "new", "--yes", "--name", "API.example", "--name", "shop.example.")

    assert result.exit_code == 0
    assert "only for     api.example, shop.example\n" in result.stdout
    assert names_of(Authority.load_or_create(data_dir / "ca").certificate) == ["api.example", "shop.example"]
    assert onceproxy("ca", "new", "--yes", "--name", "https://a").exit_code == 2


def test_a_supplied_ca_is_shown_and_not_made_anew(onceproxy: Invoke, data_dir: Path) -> None:
    made = Authority.create_new(data_dir / "elsewhere")
    key = made.directory / "ca-key.pem"
    Path("onceproxy.yaml").write_text(
        f"version: 1\ntls: {{ca: {{cert: '{made.certificate_file}', key: '{key}'}}}}\n"
    )

    assert onceproxy("ca", "path").stdout == f"{made.certificate_file}\n"
    assert made.fingerprint in onceproxy("ca", "show").stdout
    refused = onceproxy("ca", "new", "--yes")
    assert refused.exit_code == 2
    assert "tls.ca names the CA" in refused.stderr
    key.chmod(0o644)
    assert "others may read it" in onceproxy("ca", "show").stderr
