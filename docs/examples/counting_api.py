"""An API to try onceproxy with: it takes orders, and counts them. Usage: python3 counting_api.py PORT

What is asked for under /lost/ it does as well, and then hangs up without an answer. GET /orders tells how
many there are.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

orders = count(1)
taken: list[int] = []


class Orders(BaseHTTPRequestHandler):
    """Answers each POST with the number of a new order."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take an order."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        taken.append(next(orders))
        if self.path.startswith("/lost/"):
            self.close_connection = True
        else:
            self._answer(201, {"order": taken[-1]})

    def do_GET(self) -> None:
        """Say how many orders were taken."""
        self._answer(200, {"orders": len(taken)})

    def _answer(self, status: int, content: dict[str, int]) -> None:
        answer = json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Orders).serve_forever()
