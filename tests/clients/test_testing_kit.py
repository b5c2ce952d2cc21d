"""The kit that users test their own programs with, used as they do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from onceproxy.testing import (
    POINTS,
    CountingUpstream,
    Effects,
    ProxyUnderTest,
    answer,
    assert_at_most_once,
    assert_once,
    crash_at,
    lost,
)

pytest_plugins = ["pytester"]

AGENT = """
import sys
import requests

for _ in range(3):
    try:
        answer = requests.post(f"{sys.argv[1]}/orders", json={"item": 7}, timeout=20)
    except requests.ConnectionError:
        continue  # as agents do
    if answer.ok:
        print(answer.json()["order"])
        break
"""


@pytest.fixture
def onceproxy_data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def onceproxy_database(database_url: str) -> str:
    return database_url


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    file = tmp_path / "agent.py"
    file.write_text(AGENT)
    return file


def run(agent: Path, upstream: CountingUpstream, proxy: ProxyUnderTest | None) -> str:
    environment = proxy.environment() if proxy else None
    command = [sys.executable, str(agent), upstream.url]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=90, check=True
    ).stdout


def test_an_agent_that_retries(
    agent: Path, onceproxy_upstream: CountingUpstream, onceproxy_proxy: ProxyUnderTest
) -> None:
    onceproxy_upstream.always(answer(201, b'{"order": 1}'))
    assert run(agent, onceproxy_upstream, onceproxy_proxy) == "1\n"
    assert run(agent, onceproxy_upstream, onceproxy_proxy) == "1\n"
    assert_once(onceproxy_upstream, "POST", "/orders")
    assert requests.get(onceproxy_upstream.url, timeout=20).ok
    assert onceproxy_upstream.executions == 1
    onceproxy_upstream.wait_for(2)


def test_an_answer_that_is_lost(
    agent: Path, onceproxy_upstream: CountingUpstream, onceproxy_proxy: ProxyUnderTest
) -> None:
    onceproxy_upstream.will(lost)
    assert run(agent, onceproxy_upstream, onceproxy_proxy) == ""
    assert_once(onceproxy_upstream)
    assert_at_most_once(onceproxy_upstream)


def test_without_a_proxy_it_orders_twice_and_the_kit_says_so(
    agent: Path, onceproxy_upstream: CountingUpstream
) -> None:
    onceproxy_upstream.will(lost)
    onceproxy_upstream.always(answer(201, b'{"order": 2}'))
    assert run(agent, onceproxy_upstream, None) == "2\n"
    with pytest.raises(
        AssertionError, match=r"executed 2 times, and not once: 2 × POST /orders b'{\"item\": 7}'"
    ):
        assert_once(onceproxy_upstream)
    with pytest.raises(AssertionError, match="more than once: 2 × POST /orders"):
        assert_at_most_once(onceproxy_upstream)
    with pytest.raises(AssertionError, match="nothing of the kind arrived, but 2 × POST /orders"):
        assert_once(onceproxy_upstream, "DELETE")


def test_a_crash_after_sending(
    agent: Path, onceproxy_upstream: CountingUpstream, onceproxy_proxy: ProxyUnderTest
) -> None:
    onceproxy_proxy.restart(crash_at("after_send"))
    assert run(agent, onceproxy_upstream, onceproxy_proxy) == ""
    onceproxy_proxy.crashed()
    onceproxy_upstream.wait_for(1)

    onceproxy_proxy.restart()
    answered = requests.post(
        f"{onceproxy_upstream.url}/orders",
        json={"item": 7},
        proxies={"http": onceproxy_proxy.url},
        timeout=20,
    )
    assert answered.status_code == 409
    assert_once(onceproxy_upstream)


def test_a_proxy_that_does_not_start(tmp_path: Path, database_url: str) -> None:
    proxy = ProxyUnderTest(tmp_path / "data", database_url, "routse: []\n")
    with pytest.raises(RuntimeError, match="routse"):
        proxy.start()
    proxy.stop()


def test_points_and_wishes() -> None:
    assert [crash_at(point).wish for point in POINTS] == [f"{inner}:1" for inner in POINTS.values()]
    assert crash_at("request-sent", suspend=True).environment == {"ONCEPROXY_CRASH_AT": "request-sent:stop"}
    assert crash_at("after_claim", times=3).wish == "after-claim:3"
    with pytest.raises(ValueError, match="'later' is no crash point; there are before_claim, "):
        crash_at("later")
    for wrong in ({"times": 0}, {"times": 2, "suspend": True}):
        with pytest.raises(ValueError, match="times is 1 or more"):
            crash_at("after_send", **wrong)  # type: ignore[arg-type]  # one of the two is enough to be wrong


def test_effects_are_counted_across_processes(tmp_path: Path) -> None:
    effects = Effects(tmp_path / "effects")
    with pytest.raises(AssertionError, match="nothing arrived"):
        assert_once(effects)
    program = (
        "import sys, pathlib; from onceproxy.testing import Effects;"
        "Effects(pathlib.Path(sys.argv[1])).happen('mailed 7')"
    )
    for _ in range(2):
        assert_at_most_once(effects)
        subprocess.run([sys.executable, "-c", program, str(effects.path)], check=True, timeout=90)
    effects.happen("mailed 8")
    assert effects.counts == {"mailed 7": 2, "mailed 8": 1}
    assert_once(effects, "mailed 8")
    with pytest.raises(AssertionError, match="2 × mailed 7"):
        assert_at_most_once(effects)
    with pytest.raises(ValueError, match="one line"):
        effects.happen("a\nb")


def test_the_fixtures_of_a_project_that_has_nothing_but_the_package(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import urllib.request
        from onceproxy.testing import assert_once

        def test_once(onceproxy_proxy, onceproxy_upstream):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": onceproxy_proxy.url}))
            for _ in range(2):
                assert opener.open(f"{onceproxy_upstream.url}/orders", b"item=7", 20).status == 201
            assert_once(onceproxy_upstream)

        def test_another_starts_anew(onceproxy_proxy, onceproxy_upstream):
            assert onceproxy_upstream.executions == 0
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=100).assert_outcomes(passed=2)
