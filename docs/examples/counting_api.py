"""An API to try onceproxy with: it takes orders, and counts them. Usage: python3 counting_api.py PORT"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

orders = count(1)


class Orders(BaseHTTPRequestHandler):
    """Answers each POST with the number of a new order."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take an order."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = json.dumps({"order": next(orders)}).encode() + b"\n"
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Orders).serve_forever()
