"""taskiq over a stream of Redis; run as ``amid``, ``after`` or ``again``."""

import asyncio

from charging import BROKER, FIRST, charge, end_when_told, guard, watched
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from onceproxy.adapters.taskiq import CurrentMessage, once

broker = RedisStreamBroker(BROKER, idle_timeout=500, xread_block=100).with_middlewares(CurrentMessage())


@broker.task(task_name="charge")
@watched
@once(guard=guard, name="shop.charge")
def task(order: str) -> str:
    """Charge."""
    return charge(order)


@broker.task(task_name="nudge")
async def nudge() -> None:
    """Do nothing: this broker looks for lost messages only when it has got another one."""


async def nudging() -> None:
    """Nudge, as long as the process lives."""
    while True:
        await nudge.kiq()
        await asyncio.sleep(0.2)


async def work() -> None:
    """Work until the process ends."""
    broker.is_worker_process = True
    await broker.startup()
    if FIRST:
        await task.kiq("order-1")
    else:
        end_when_told()
    await asyncio.gather(run_receiver_task(broker), *([] if FIRST else [nudging()]))


asyncio.run(work())
