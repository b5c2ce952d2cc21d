"""POST with urllib. Usage: URL BODY"""

import sys
import urllib.request

request = urllib.request.Request(
    sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"}, method="POST"
)
with urllib.request.urlopen(request, timeout=20) as response:
    replayed = response.headers.get("Idempotency-Replayed")
    print(response.status, replayed, response.read().decode(), sep="|")
