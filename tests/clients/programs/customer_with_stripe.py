"""A customer made with stripe-python, which makes a key for its retries. Usage: API_BASE"""

import sys

import stripe

stripe.api_key = "sk_test_onceproxy"
stripe.api_base = sys.argv[1]
stripe.max_network_retries = 2
try:
    customer = stripe.Customer.create(email="a@example.com")
    headers = customer.last_response.headers
    print(customer.last_response.code, headers.get("Idempotency-Replayed"), customer.email, sep="|")
except stripe.APIError as error:
    print(error.http_status, None, error.http_body.strip(), sep="|")
