"""The files that put a proxy on a machine: they name what there is, and give away no more than it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from onceproxy.cli import main
from onceproxy.config.egress import Egress, egress_policy
from onceproxy.core.addresses import parse_address
from onceproxy.core.egress import Way

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "config" / "systemd" / "onceproxy.service"


def _unit() -> ConfigParser:
    # Keys may be repeated in a unit, and the last one is read here; none that is looked at is.
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as the library's own documentation has it
    unit.read(UNIT)
    return unit


def test_the_service_starts_what_there_is() -> None:
    command = _unit()["Service"]["ExecStart"].split()
    help_text = CliRunner().invoke(main, [command[1], "--help"]).output

    assert command[0].endswith("/bin/onceproxy")
    assert all(option in help_text for option in command if option.startswith("--"))


@pytest.mark.parametrize(
    ("directive", "value"),
    [
        ("DynamicUser", "yes"),
        ("StateDirectoryMode", "0700"),
        ("UMask", "0077"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateDevices", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
    ],
)
def test_the_service_is_shut_in(directive: str, value: str) -> None:
    assert _unit()["Service"][directive] == value


def test_the_service_has_longer_to_stop_than_the_proxy_takes() -> None:
    service = _unit()["Service"]
    grace = re.search(r"--grace (\d+)", service["ExecStart"])

    assert grace is not None
    assert int(service["TimeoutStopSec"]) > int(grace[1])


def test_systemd_understands_the_service(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    copy = tmp_path / UNIT.name
    # The command is not at that place on this machine, which is no fault of the unit's.
    copy.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))

    done = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_runs_as_nobody_special() -> None:
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]

    assert re.search(r"useradd --system --uid 10001", last_stage)
    user = re.search(r"^USER (\S+)$", last_stage, re.MULTILINE)
    assert user is not None
    assert user[1] == "10001:10001"  # by number: Kubernetes can't tell that a name is not root
    assert last_stage.index("USER ") < last_stage.index("ENTRYPOINT")


def test_what_the_compose_file_says_lets_a_container_reach_its_neighbours() -> None:
    said = re.search(r"`(egress: \{.*?\})`", (ROOT / "compose.yaml").read_text())
    assert said is not None
    section = Egress.model_validate(yaml.safe_load(said[1])["egress"])
    beyond_loopback = egress_policy(section, at_home=False, own_ports=frozenset())
    untold = egress_policy(Egress(), at_home=False, own_ports=frozenset())

    def goes(address: str) -> tuple[bool, bool]:
        parsed = parse_address(address)
        assert parsed is not None
        with_it, without = (
            rules.judge_address("api", parsed, 8000, Way.HTTP).allowed for rules in (beyond_loopback, untold)
        )
        return with_it, without

    assert goes("172.18.0.3") == (True, False)
    assert goes("8.8.8.8") == (True, True)
    assert goes("169.254.169.254") == goes("127.0.0.1") == (False, False)
