"""POST with requests and a urllib3 Retry that tries everything again. Usage: URL BODY SECONDS

Each try may take SECONDS; a line on stderr tells that one is over.
"""

import logging
import sys

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

logging.basicConfig(level=logging.DEBUG, format="%(message)s")
retry = Retry(
    total=50, allowed_methods=None, status_forcelist=(502, 503, 504), backoff_factor=0, raise_on_status=False
)
with requests.Session() as session:
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    headers = {"Content-Type": "application/json"}
    response = session.post(sys.argv[1], data=sys.argv[2], headers=headers, timeout=float(sys.argv[3]))
print(response.status_code, response.headers.get("Idempotency-Replayed"), response.text.strip(), sep="|")
