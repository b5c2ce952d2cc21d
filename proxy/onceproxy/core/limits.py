"""The limits that a request can run into, by the names that they have in the configuration.

Metrics and problems name them so (a test compares): who reads one knows which setting to look at.
"""

from __future__ import annotations

from enum import StrEnum


class Limit(StrEnum):
    """A setting under ``limits``."""

    REQUEST_BODY = "request_body"
    HEADER = "header"
    HEADER_LINES = "header_lines"
    HEAD = "head"
    HEAD_TIMEOUT = "head_timeout"
    BODY_TIMEOUT = "body_timeout"
    BODY_RATE = "body_rate"
    DRAIN_TIMEOUT = "drain_timeout"
    CONNECTIONS = "connections"
    CONNECTIONS_PER_CLIENT = "connections_per_client"
    TUNNELS = "tunnels"
    TUNNEL_IDLE_TIMEOUT = "tunnel_idle_timeout"
    TEMPORARY = "temporary"
    CERTIFICATES_PER_MINUTE = "certificates_per_minute"
    EXECUTIONS = "executions"
    EXECUTIONS_PER_USER = "executions_per_user"
    QUEUE = "queue"
    QUEUE_TIMEOUT = "queue_timeout"
    WAITERS = "waiters"
    WAITERS_PER_ACTION = "waiters_per_action"


class OverLimit(Exception):
    """A request that a limit has no room for. Nothing was sent and nothing claimed for it.

    ``detail`` says what there is too much of, and what would help.
    """

    def __init__(self, limit: Limit, detail: str) -> None:
        super().__init__(detail)
        self.limit = limit
