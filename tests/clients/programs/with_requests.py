"""POST with requests; trust_env is its default. Usage: URL BODY"""

import sys

import requests

response = requests.post(
    sys.argv[1], data=sys.argv[2], headers={"Content-Type": "application/json"}, timeout=20
)
print(response.status_code, response.headers.get("Idempotency-Replayed"), response.text, sep="|")
