"""An MCP server whose tool runs once, and a client that calls it twice: ``python examples/mcp_orders.py``."""

import asyncio
import sys

from mcp import Client
from mcp.server import MCPServer

from onceproxy.agents.mcp import once_tool

server = MCPServer("shop")


@server.tool()
@once_tool(scope=sys.argv[1] if len(sys.argv) > 1 else "shop-42")
def place_order(order: str, item: int) -> str:
    """Order an item; ``order`` is the number of your order."""
    print(f"ordering {item}", flush=True)  # the effect
    return f"ordered item {item} for {order}"


async def main() -> None:
    """Call it, and once more in another session, as a client does that has lost the answer."""
    for _ in range(2):
        async with Client(server) as client:
            told = await client.call_tool("place_order", {"order": "A-1", "item": 7})
            print(told.content[0].text)


asyncio.run(main())
