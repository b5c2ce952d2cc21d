"""localstripe, a Stripe to run locally, on a free port and with nothing kept. Prints its URL."""

import socket

from aiohttp import web
from localstripe.resources import store
from localstripe.server import app

store.dump_to_disk = lambda: None
listening = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
web.run_app(app, sock=listening, access_log=None, print=None)
