"""POST with httpx; trust_env is its default. Usage: URL BODY"""

import sys

import httpx

response = httpx.post(
    sys.argv[1], content=sys.argv[2], headers={"Content-Type": "application/json"}, timeout=20
)
print(response.status_code, response.headers.get("Idempotency-Replayed"), response.text, sep="|")
