"""A message to SQS with boto3, which signs each try anew. Usage: ENDPOINT"""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

sqs = boto3.client(
    "sqs",
    endpoint_url=sys.argv[1],
    region_name="eu-central-1",
    aws_access_key_id="AKIAONCEPROXY",
    aws_secret_access_key="secret",
    config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
)
try:
    answer = sqs.send_message(QueueUrl=f"{sys.argv[1]}/1/queue", MessageBody="hello")
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    print(status, headers.get("idempotency-replayed"), answer["MessageId"], sep="|")
except ClientError as error:
    answer = error.response["ResponseMetadata"]
    print(answer["HTTPStatusCode"], None, answer["HTTPHeaders"].get("onceproxy-status"), sep="|")
