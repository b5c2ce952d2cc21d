"""A charge with stripe-python. Usage: API_BASE

It looks at HTTPS_PROXY, but at no variable for its roots: they have to be set.
"""

import os
import sys

import stripe

stripe.api_key = "sk_test_onceproxy"
stripe.api_base = sys.argv[1]
stripe.max_network_retries = 2
if "SSL_CERT_FILE" in os.environ:
    stripe.ca_bundle_path = os.environ["SSL_CERT_FILE"]
try:
    charge = stripe.Charge.create(amount=100, currency="eur", idempotency_key="order-7")
    headers = charge.last_response.headers
    print(charge.last_response.code, headers.get("Idempotency-Replayed"), charge.id, sep="|")
except stripe.APIError as error:
    print(error.http_status, None, error.http_body.strip(), sep="|")
