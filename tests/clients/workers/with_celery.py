"""Celery over Redis; run as ``amid``, ``after`` or ``again``."""

from celery import Celery
from charging import BROKER, FIRST, charge, end_when_told, guard, watched

from onceproxy.adapters.celery import once

app = Celery("shop", broker=BROKER)
app.conf.update(
    # Who starts again takes at once what another one has not acknowledged.
    broker_transport_options={"visibility_timeout": 3600 if FIRST else 0},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
)


@app.task(name="charge", acks_late=True)
@watched
@once(guard=guard, name="shop.charge")
def task(order: str) -> str:
    """Charge."""
    return charge(order)


if FIRST:
    task.delay("order-1")
else:
    end_when_told()
app.Worker(pool="solo", loglevel="ERROR", without_gossip=True, without_mingle=True).start()
