"""`onceproxy env`."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from onceproxy.ingress.authority import Authority

Invoke = Callable[..., Result]


def evaluated(lines: str) -> dict[str, str]:
    out = subprocess.run(["sh", "-euc", lines + "\nenv -0"], capture_output=True, check=True).stdout
    return dict(line.split("=", 1) for line in out.decode().split("\0") if line)


def test_sh_evaluates_what_it_prints(
    onceproxy: Invoke, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://x")
    result = onceproxy("env", "--listen", "127.0.0.1:1234", "--run-id", "run/42")
    assert result.exit_code == 0
    environ = evaluated(result.stdout)
    assert environ["HTTPS_PROXY"] == environ["http_proxy"] == "http://run%2F42:run@127.0.0.1:1234"
    assert environ["SSL_CERT_FILE"] == str(data_dir / "ca" / "ca-bundle.pem")
    assert environ["NODE_EXTRA_CA_CERTS"] == str(data_dir / "ca" / "ca-cert.pem")
    assert Path(environ["SSL_CERT_FILE"]).exists()
    assert "ALL_PROXY" not in environ


def test_the_port_is_the_configurations(onceproxy: Invoke) -> None:
    assert "http://127.0.0.1:8888" in onceproxy("env").stdout
    Path("onceproxy.yaml").write_text("version: 1\nlisten: 0.0.0.0:4000\n")
    assert "http://127.0.0.1:4000" in onceproxy("env").stdout


def test_a_corporate_ca_stays_trusted_however_often_it_is_evaluated(
    onceproxy: Invoke, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corporate = Authority.load_or_create(tmp_path / "corporate").certificate_file
    text = corporate.read_bytes()
    monkeypatch.setattr("onceproxy.ingress.authority.CA_NAME", "another name")  # it is not one of ours
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(corporate))
    for _ in range(2):
        bundle = evaluated(onceproxy("env").stdout)["REQUESTS_CA_BUNDLE"]
        roots = ssl.create_default_context(cafile=bundle).get_ca_certs(binary_form=True)
        assert ssl.PEM_cert_to_DER_cert(text.decode()) in roots
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert len(list((data_dir / "ca").glob("ca-bundle-*.pem"))) == 1


def test_other_shells(onceproxy: Invoke) -> None:
    assert "set -gx HTTP_PROXY 'http://127.0.0.1:8888'" in onceproxy("env", "--shell", "fish").stdout
    assert "$Env:HTTP_PROXY = 'http://127.0.0.1:8888'" in onceproxy("env", "--shell", "powershell").stdout
    assert onceproxy("env", "--shell", "cmd").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--listen", "127.0.0.1:0"), "give --listen HOST:PORT"),
        (("--run-id", "a:b"), "none of them a colon"),
        (("--listen", "nowhere"), "--listen: "),
        (("--config", "absent.yaml"), "absent.yaml"),
    ],
)
def test_what_is_wrong_goes_to_stderr_with_exit_code_2(
    onceproxy: Invoke, arguments: tuple[str, ...], message: str
) -> None:
    result = onceproxy("env", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""  # nothing that a shell would evaluate
    assert message in result.stderr


def test_the_environment_is_not_changed_by_asking(onceproxy: Invoke) -> None:
    before = dict(os.environ)
    onceproxy("env")
    assert dict(os.environ) == before


USERS = "version: 1\nusers: [{name: ann, password_env: PW_OF_ANN}]\n"


def test_a_user_is_in_the_url_and_its_password_only_if_asked_for(
    onceproxy: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("onceproxy.yaml").write_text(USERS)
    monkeypatch.setenv("PW_OF_ANN", "p@ss/w:ord")

    assert evaluated(onceproxy("env").stdout)["HTTP_PROXY"] == "http://ann@127.0.0.1:8888"
    assert "ord" not in onceproxy("env").stdout
    asked = onceproxy("env", "--user", "ann", "--with-password")
    assert evaluated(asked.stdout)["HTTPS_PROXY"] == "http://ann:p%40ss%2Fw%3Aord@127.0.0.1:8888"
    typed = onceproxy("env", "--user", "bob", "--with-password", stdin="typed in\n")
    assert evaluated(typed.stdout)["HTTP_PROXY"] == "http://bob:typed%20in@127.0.0.1:8888"


def test_nobodys_urls_are_printed_where_the_proxy_asks_who_it_is(onceproxy: Invoke) -> None:
    Path("onceproxy.yaml").write_text(USERS + "users_file: more\n")
    for arguments in ((), ("--run-id", "7"), ("--user", "a:b"), ("--user", "a", "--run-id", "b")):
        result = onceproxy("env", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
    result = onceproxy("env", "--user", "ann", "--with-password")
    assert result.exit_code == 2
    assert "the environment has no variable" in result.stderr
    assert onceproxy("env", "--user", "eve").exit_code == 0, "nobody else's password is looked for"
