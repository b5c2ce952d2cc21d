"""AWS Lambda Powertools' idempotent functions, in Redis, as in a Lambda that has LEASE seconds to go."""

from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.persistence.redis import RedisCachePersistenceLayer
from effect import AMOUNT, KEY, LEASE, REDIS_PORT, effect


class Context:
    """What of a Lambda's context is looked at."""

    def get_remaining_time_in_millis(self) -> int:
        return LEASE * 1000


config = IdempotencyConfig(event_key_jmespath="order", payload_validation_jmespath="amount")
config.register_lambda_context(Context())
store = RedisCachePersistenceLayer(host="127.0.0.1", port=REDIS_PORT, ssl=False)


@idempotent_function(data_keyword_argument="data", config=config, persistence_store=store)
def charge(data: dict[str, object]) -> dict[str, int]:
    return effect(AMOUNT)


print(charge(data={"order": KEY, "amount": AMOUNT}))
