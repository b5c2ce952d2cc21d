"""What the handlers of all applications do: count, and go wrong where the event says so."""

import json
import os
import signal
import sys
from pathlib import Path

from onceproxy.testing import Effects

effects = Effects(Path(os.environ["EFFECTS"]))
DATABASE = os.environ["DATABASE"]
ROUTES = [
    {
        "name": "events",
        "match": {"path": "/hooks/events", "methods": ["POST"]},
        "identity": {"key": [{"header": "Webhook-Id"}, {"json": "$.id"}], "missing": "reject"},
        "outcomes": {"released": [503]},
    }
]


def handle(body: bytes) -> tuple[int, dict[str, object]]:
    """Take an event; return the status and the content of the answer."""
    event = json.loads(body)
    effects.happen(f"{event['id']} {event.get('do', 'charge')}")
    match event.get("do"):
        case "raise":
            raise RuntimeError("no such customer")
        case "fail":
            return 503, {"later": True}
        case "crash":
            os.kill(os.getpid(), signal.SIGKILL)
    return 201, {"took": event["id"], "count": len(effects.counts)}


def served() -> tuple[str, int]:
    """Where to listen."""
    return "127.0.0.1", int(sys.argv[1])
