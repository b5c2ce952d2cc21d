"""A kit to test that retries of your own program execute once: an API that counts, a proxy, crashes.

pytest finds the fixtures ``onceproxy_upstream`` and ``onceproxy_proxy`` by itself::

    def test_my_agent_orders_once(onceproxy_proxy, onceproxy_upstream):
        onceproxy_upstream.will(lost)    # takes the first order, and hangs up without an answer
        subprocess.run(["my-agent", onceproxy_upstream.url], env=onceproxy_proxy.environment())
        assert_once(onceproxy_upstream, "POST", "/orders")

Everything else of onceproxy knows nothing of this.
"""

from onceproxy.testing.asserting import assert_at_most_once, assert_once
from onceproxy.testing.counting import CountingUpstream
from onceproxy.testing.crashes import POINTS, Crash, crash_at
from onceproxy.testing.effects import Effects
from onceproxy.testing.proxy import ProxyUnderTest
from onceproxy.testing.upstream import Seen, answer, hang, lost, raw, reset

__all__ = [
    "POINTS",
    "CountingUpstream",
    "Crash",
    "Effects",
    "ProxyUnderTest",
    "Seen",
    "answer",
    "assert_at_most_once",
    "assert_once",
    "crash_at",
    "hang",
    "lost",
    "raw",
    "reset",
]
