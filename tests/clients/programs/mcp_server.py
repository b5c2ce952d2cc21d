"""A server of MCP whose tool has a side effect: a line in LEDGER. Usage: json|sse LEDGER. Prints its URL."""

import socket
import sys
from pathlib import Path

import uvicorn
from mcp.server import MCPServer

how, ledger = sys.argv[1], Path(sys.argv[2])
server = MCPServer("counter")


def pay(amount: int) -> str:
    """Pay, each time it is called."""
    with ledger.open("a") as lines:
        lines.write(f"{amount}\n")
    return f"payment {len(ledger.read_text().split())}"


server.add_tool(pay)


app = server.streamable_http_app(json_response=how == "json", host="127.0.0.1")
listening = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
