"""A completion with openai. Usage: BASE_URL"""

import sys

import openai

client = openai.OpenAI(api_key="sk-onceproxy", base_url=sys.argv[1], max_retries=2)
try:
    answer = client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "send the invoice"}]
    )
    print(answer.status_code, answer.headers.get("Idempotency-Replayed"), answer.parse().id, sep="|")
except openai.APIStatusError as error:
    print(error.status_code, None, error.response.headers.get("Onceproxy-Status"), sep="|")
