"""POST with aiohttp and trust_env. Usage: URL BODY"""

import asyncio
import sys

import aiohttp


async def main() -> None:
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(trust_env=True) as session,
        session.post(sys.argv[1], data=sys.argv[2], headers=headers) as response,
    ):
        replayed = response.headers.get("Idempotency-Replayed")
        print(response.status, replayed, await response.text(), sep="|")


asyncio.run(main())
