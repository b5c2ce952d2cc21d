"""moto's SQS with one queue, on a free port. Prints its URL."""

import threading

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://{}:{}".format(*server.get_host_and_port())
boto3.client(
    "sqs", endpoint_url=url, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
).create_queue(QueueName="queue")
print(url, flush=True)
threading.Event().wait()
