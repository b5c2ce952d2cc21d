"""A mutation with gql. Usage: BASE_URL"""

import json
import sys

from gql import Client, gql
from gql.transport.exceptions import TransportServerError
from gql.transport.requests import RequestsHTTPTransport

transport = RequestsHTTPTransport(f"{sys.argv[1]}/graphql", retries=2, retry_status_forcelist=[502, 503])
client = Client(transport=transport)
try:
    orders = client.execute(gql("query { orders { id } }"))
    pay = gql("mutation Pay($amount: Int!) { pay(amount: $amount) { id } }")
    pay.variable_values = {"amount": 5}
    paid = client.execute(pay)
    headers = transport.response_headers
    print(200, headers.get("Idempotency-Replayed"), json.dumps([orders, paid]), sep="|")
except TransportServerError as error:
    print(error.code, None, error.__cause__.response.headers.get("Onceproxy-Status"), sep="|")
