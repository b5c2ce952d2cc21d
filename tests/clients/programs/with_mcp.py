"""The tool of mcp_server.py called with mcp. Usage: URL MODE then|together TRIES

Each try is a session of its own, which has asked for other things first: the id of its call is another.
"""

import asyncio
import sys
from contextlib import suppress

from mcp import Client, MCPError

url, mode, how, tries = sys.argv[1:]
seen: list[str] = []


async def call(number: int) -> None:
    """List the tools some times, and call one."""
    async with Client(url, mode=mode, read_timeout_seconds=30) as client:
        for _ in range(number + 1):
            tools = await client.list_tools(cache_mode="bypass")
        assert [tool.name for tool in tools.tools] == ["pay"]
        try:
            result = await client.call_tool("pay", {"amount": 5})
        except MCPError as error:
            seen.append(f"0|None|{error}")
        else:
            seen.append(f"200|None|{result.content[0].text}")


async def main() -> None:
    """Call as often as wanted; a try whose connection breaks has no answer."""
    calls = [call(number) for number in range(int(tries))]
    if how == "together":
        await asyncio.gather(*calls)
    else:
        for one in calls:
            with suppress(ExceptionGroup):
                await one
    print("\n".join(seen))


asyncio.run(main())
