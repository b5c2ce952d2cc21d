"""DBOS: a workflow with one step, in Postgres. What was pending is recovered at the start."""

import os

from dbos import DBOS, SetWorkflowID
from effect import AMOUNT, KEY, POSTGRES, effect

DBOS(
    config={
        "name": "compare",
        "system_database_url": POSTGRES,
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
def charge(amount: int) -> dict[str, int]:
    return effect(amount)


@DBOS.workflow()
def order(amount: int) -> dict[str, int]:
    return charge(amount)


DBOS.launch()
with SetWorkflowID(KEY):
    print(order(AMOUNT), flush=True)
os._exit(0)
