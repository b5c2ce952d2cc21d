"""The programs in docs/how-to, as they stand there: a repeated call is executed once."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from clients.test_node import installed, node
from onceproxy.cli import main
from processes import Run, Start, clean_environment, ended
from proxies import ProxyProcess
from upstreams import Upstream

__all__ = ["installed", "node"]  # fixtures
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
API = "https://api.example.com"
TWICE = 'for try in 1 2; do "$@" || exit; done'


def block_of(page: str, language: str) -> str:
    """Return the first block of a language."""
    match = re.search(rf"^```{language}\n(.*?)^```$", (HOW_TO / page).read_text("utf-8"), re.M | re.S)
    assert match is not None
    return match[1]


def needs(*commands: str) -> None:
    for command in commands:
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")


async def test_python(onceproxy_run: Run, https_upstream: Upstream, tmp_path: Path) -> None:
    program = tmp_path / "order.py"
    program.write_text(block_of("python.md", "python").replace(API, https_upstream.url))

    done = await onceproxy_run("sh", "-c", TWICE, "sh", sys.executable, str(program))

    assert done.out == "201 None\n201 true\n"
    assert https_upstream.executions == 1


@pytest.mark.xdist_group("node")
async def test_node(node: str, installed: Path, onceproxy_run: Run, https_upstream: Upstream) -> None:
    program = installed / "order.mjs"
    program.write_text(block_of("node.md", "js").replace(API, https_upstream.url))

    done = await onceproxy_run("sh", "-c", TWICE, "sh", node, str(program))

    assert done.out == "201 null\n201 true\n"
    assert https_upstream.executions == 1


async def test_go(onceproxy_run: Run, https_upstream: Upstream, tmp_path: Path, start: Start) -> None:
    needs("go")
    program = tmp_path / "order.go"
    # It never sends loopback addresses through a proxy of the environment: docs/how-to/go.md says so.
    text = block_of("go.md", "go").replace(API, https_upstream.url)
    assert "http.DefaultClient.Do" in text
    program.write_text(
        text.replace(
            "http.DefaultClient.Do",
            "(&http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy())}}).Do",
        ).replace('"net/http"', '"net/http"\n\t"net/url"')
        + '\nfunc proxy() *url.URL {\n\tfound, _ := url.Parse(os.Getenv("HTTPS_PROXY"))\n\treturn found\n}\n'
    )
    build = await start(
        *("go", "build", "-o", str(tmp_path / "order"), str(program)),
        env={**clean_environment(), "GOFLAGS": "-mod=mod", "GOCACHE": str(tmp_path / "cache")},
    )
    assert (await ended(build)).code == 0

    done = await onceproxy_run("sh", "-c", TWICE, "sh", str(tmp_path / "order"))

    assert done.out == "201 \n201 true\n"
    assert https_upstream.executions == 1


async def test_java(
    start: Start, database_url: str, https_upstream: Upstream, upstream_ca_file: Path, tmp_path: Path
) -> None:
    needs("java", "keytool")
    (tmp_path / "Order.java").write_text(block_of("java.md", "java").replace(API, https_upstream.url))
    trust = f"tls: {{upstream_ca: '{upstream_ca_file}'}}\n"
    async with ProxyProcess(tmp_path / "data", database_url, trust) as proxy:
        port = proxy.url.rpartition(":")[2]
        script = (
            block_of("java.md", "sh")
            .replace("onceproxy ca path", f"'{sys.executable}' -m onceproxy ca path --data-dir data")
            .replace("8888", port)
            .replace("-Dhttps.proxyHost", "-Dhttp.nonProxyHosts= -Dhttps.proxyHost")
        )
        done = await ended(await start("sh", "-ec", f"{script}\njava Order.java", cwd=tmp_path))

    assert done.code == 0, done.err
    assert done.out == "201 \n201 true\n"
    assert https_upstream.executions == 1


@pytest.mark.parametrize("page", sorted(path.name for path in HOW_TO.glob("*.md")))
def test_configurations_are_valid(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCEPROXY_CA_PASSWORD", "secret")
    for text in re.findall(r"^```yaml\n(.*?)^```$", (HOW_TO / page).read_text("utf-8"), re.M | re.S):
        if "version" not in yaml.safe_load(text):
            continue  # a file of another program
        file = tmp_path / "onceproxy.yaml"
        file.write_text(
            text.replace("/etc/onceproxy/", f"{tmp_path}/").replace("/etc/ssl/corp.pem", str(tmp_path / "no"))
        )
        told = CliRunner().invoke(main, ["check", "--config", str(file)])
        # Files that this machine has not are all that may be wrong.
        assert told.exit_code == 0 or "there is no such file" in told.output, told.output
