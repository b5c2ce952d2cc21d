"""A message with slack_sdk, told to retry server errors. Usage: BASE_URL"""

import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import ServerErrorRetryHandler

client = WebClient(token="xoxb-onceproxy", base_url=f"{sys.argv[1]}/api/")
client.retry_handlers.append(ServerErrorRetryHandler(max_retry_count=2))
try:
    answer = client.chat_postMessage(channel="C1", text="hello")
    print(answer.status_code, answer.headers.get("Idempotency-Replayed"), answer["ts"], sep="|")
except SlackApiError as error:
    print(error.response.status_code, None, error.response.headers.get("Onceproxy-Status"), sep="|")
