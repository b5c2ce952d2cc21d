"""The files that put several proxies behind a balancer or into a cluster: valid, and as we are."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from onceproxy.cli import main
from onceproxy.config.load import VARIABLES, load
from onceproxy.config.model import Settings
from onceproxy.serve import GRACE

CONFIG = Path(__file__).parents[2] / "config"
COMPOSE = CONFIG / "compose"
MANIFESTS = sorted((CONFIG / "kubernetes").glob("*.yaml"))
UID = 10001  # of the image
VERSIONS = ("1.33", "1.37")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return found


def resources() -> list[dict[str, Any]]:
    return [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text())]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [one for one in resources() if one["kind"] in kinds]


def pods() -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in of_kind("StatefulSet", "Deployment")]


def containers() -> list[dict[str, Any]]:
    return [one for pod in pods() for one in (*pod["initContainers"], *pod["containers"])]


def proxies() -> list[dict[str, Any]]:
    return [one for one in containers() if one["name"] == "onceproxy"]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_them(version: str) -> None:
    assert len(resources()) == 6
    for resource in resources():
        kubernetes_validate.validate(resource, version, strict=True)


def test_what_kubernetes_does_not_take_is_found() -> None:
    [budget] = of_kind("PodDisruptionBudget")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**budget, "spec": {"maxUnavailble": 1}}, VERSIONS[0], strict=True)


def test_they_find_one_another() -> None:
    [several] = of_kind("StatefulSet")
    labels = several["spec"]["template"]["metadata"]["labels"]
    for one in of_kind("Service"):
        assert one["spec"]["selector"].items() <= labels.items()
        named = {port["name"] for proxy in proxies() for port in proxy.get("ports", [])}
        assert {port["targetPort"] for port in one["spec"]["ports"]} <= named
    [budget] = of_kind("PodDisruptionBudget")
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert several["spec"]["serviceName"] in {one["metadata"]["name"] for one in of_kind("Service")}
    for pod, claims in ((pods()[0], several["spec"].get("volumeClaimTemplates", [])), (pods()[1], [])):
        there = {one["name"] for one in pod["volumes"]} | {one["metadata"]["name"] for one in claims}
        asked = (*pod["initContainers"], *pod["containers"])
        assert {mount["name"] for one in asked for mount in one["volumeMounts"]} == there


def test_nothing_runs_as_root_or_writes_where_it_need_not() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == UID
        assert not pod["automountServiceAccountToken"]
    for one in containers():
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_proxy_is_sent_requests_while_it_is_ready_and_killed_only_when_it_is_dead() -> None:
    for proxy in proxies():
        assert "/readyz" in str(proxy["readinessProbe"])
        assert "/readyz" in str(proxy["startupProbe"])
        assert "/readyz" not in str(proxy.get("livenessProbe"))


def test_it_has_longer_to_stop_than_it_takes() -> None:
    for pod, proxy in zip(pods(), proxies(), strict=True):
        pause = proxy.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])[1]
        assert pod["terminationGracePeriodSeconds"] > int(pause) + int(proxy["args"][-1])
        assert proxy["args"][:2] == ["serve", "--grace"]
    for name in ("proxy1", "proxy2"):
        assert int(compose()["services"][name]["stop_grace_period"].removesuffix("s")) > GRACE


def test_no_secret_is_in_them() -> None:
    for proxy in proxies():
        for variable in proxy["env"]:
            secret = re.search("DATABASE|TOKEN|PASSWORD", variable["name"]) is not None
            assert ("valueFrom" in variable) is secret, variable
    text = (COMPOSE / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == set(re.findall(r"\$\{(\w+):\?\}", text))


def variables() -> Iterator[str]:
    for proxy in proxies():
        yield from (one["name"] for one in proxy["env"])
    for service in compose()["services"].values():
        yield from service.get("environment", {})


def test_each_variable_of_ours_is_one_that_there_is() -> None:
    ours = {name for name in variables() if name.startswith("ONCEPROXY_")}

    assert ours <= {*VARIABLES, "ONCEPROXY_CONFIG"}


def configurations() -> Iterator[tuple[str, dict[str, str]]]:
    yield (COMPOSE / "onceproxy.yaml").read_text(), dict(compose()["services"]["proxy1"]["environment"])
    [shared] = of_kind("ConfigMap")
    environ = {one["name"]: one.get("value", "x" * 32) for one in proxies()[0]["env"]}
    yield shared["data"]["onceproxy.yaml"], environ


@pytest.mark.parametrize("which", [0, 1])
def test_a_proxy_would_start_with_it(which: int, tmp_path: Path) -> None:
    text, environ = list(configurations())[which]
    for name in ("ca-cert.pem", "ca-key.pem"):
        (tmp_path / name).write_text("")
    file = tmp_path / "onceproxy.yaml"
    file.write_text(text.replace("/ca/ca", str(tmp_path)))
    environ |= {"ONCEPROXY_DATABASE": "postgresql://h/d"}
    environ |= dict.fromkeys(("ADMIN_TOKEN", "MAILER_PASSWORD"), "x" * 16)
    environ.pop("ONCEPROXY_CONFIG", None)
    environ.setdefault("ONCEPROXY_LISTEN", "0.0.0.0:8888")  # as the image has it

    settings = load(file, environ=environ, serving=True)

    assert isinstance(settings, Settings)
    assert settings.users


def test_commands_are_ones_that_there_are() -> None:
    commands = [compose()["services"]["ca"]["command"], ["serve", "--grace"], ["ca", "new", "--yes"]]
    for command in commands:
        words = [word for word in command if not word.startswith("-")]
        shown = CliRunner().invoke(main, [*words, "--help"])
        assert shown.exit_code == 0
        assert all(option in shown.output for option in command if option.startswith("--"))


def test_each_part_of_the_compose_file_waits_for_what_there_is() -> None:
    services, volumes = compose()["services"], compose()["volumes"]
    for service in services.values():
        for name, waits in service.get("depends_on", {}).items():
            once = services[name].get("healthcheck", {}).get("disable", False)
            assert waits["condition"] == ("service_completed_successfully" if once else "service_healthy")
        for volume in service.get("volumes", []):
            where = volume.split(":")[0]
            assert where in volumes or (COMPOSE / where).exists()
    assert services["proxy1"]["volumes"][2] != services["proxy2"]["volumes"][2]


def test_the_balancer_asks_whether_a_proxy_is_ready() -> None:
    text = (COMPOSE / "haproxy.cfg").read_text()
    admin = compose()["services"]["proxy1"]["environment"]["ONCEPROXY_ADMIN_LISTEN"].rpartition(":")[2]

    assert "option httpchk GET /readyz" in text
    assert f"check port {admin}" in text
    assert re.findall(r"^    server (\w+) \1:8888$", text, re.MULTILINE) == ["proxy1", "proxy2"]


def test_haproxy_understands_the_balancer() -> None:
    haproxy = shutil.which("haproxy")
    if haproxy is None:
        pytest.skip("haproxy is not on this machine")
    command = [haproxy, "-c", "-f", str(COMPOSE / "haproxy.cfg")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
