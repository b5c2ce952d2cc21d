"""Dramatiq over Redis; run as ``amid``, ``after`` or ``again``."""

import time

import dramatiq
from charging import BROKER, FIRST, PATIENCE, charge, end_when_told, guard, watched
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage

from onceproxy.adapters.dramatiq import once

ALWAYS = 1_000_000  # of as many: look for lost messages each time
broker = RedisBroker(url=BROKER, heartbeat_timeout=1000, maintenance_chance=ALWAYS)
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=0)
@watched
@once(guard=guard, name="shop.charge")
def task(order: str) -> str:
    """Charge."""
    return charge(order)


if FIRST:
    task.send("order-1")
else:
    end_when_told()
dramatiq.Worker(broker, worker_threads=1, worker_timeout=100).start()
time.sleep(PATIENCE)
