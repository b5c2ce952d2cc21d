"""The API's description, for programs: OpenAPI 3.1, made from the models."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from onceproxy.admin.api.models import (
    Changed,
    Instances,
    Overview,
    Problem,
    Purge,
    ReceiptPage,
    ReceiptShown,
    Resolve,
    Routes,
    Wanted,
)
from onceproxy.version import __version__

_REF = "#/components/schemas/{model}"
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "A request_id.",
    "schema": {"type": "string", "pattern": "^oid_[a-z2-7]{52}$"},
}


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    told: list[type[BaseModel]] = [ReceiptPage, ReceiptShown, Changed, Overview, Routes, Instances, Problem]
    models: list[tuple[type[BaseModel], Literal["validation", "serialization"]]]
    models = [(model, "serialization") for model in told]
    models += [(Resolve, "validation"), (Purge, "validation")]
    _, schemas = models_json_schema(models, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "onceproxy admin API",
            "version": __version__,
            "description": "Receipts, what may be done to them, and what goes on.",
        },
        "security": [{"token": []}],
        "paths": {
            "/api/receipts": {
                "get": _operation(
                    "listReceipts", "List receipts, newest first", ReceiptPage, 400, parameters=_query()
                )
            },
            "/api/receipts/{id}": {
                "parameters": [_ID],
                "get": _operation(
                    "showReceipt", "Show a receipt, its evidence and its history", ReceiptShown, 404
                ),
                "delete": _operation(
                    "purgeReceipt",
                    "Remove a settled receipt: the next copy of its action is a new one",
                    Changed,
                    *(400, 404, 409),
                    body=Purge,
                ),
            },
            "/api/receipts/{id}/body": {
                "parameters": [_ID],
                "get": _operation("readBody", "Read the stored body", None, 404, 409),
            },
            "/api/receipts/{id}/resolve": {
                "parameters": [_ID],
                "post": _operation(
                    "resolveReceipt",
                    "Say whether an action in doubt happened",
                    Changed,
                    *(400, 404, 409),
                    body=Resolve,
                ),
            },
            "/api/overview": {"get": _operation("overview", "Say what goes on", Overview)},
            "/api/routes": {"get": _operation("listRoutes", "Count receipts by route", Routes)},
            "/api/instances": {"get": _operation("listInstances", "List the proxies", Instances)},
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Where admin.token_env or admin.token_file is set.",
                }
            },
        },
    }


def _query() -> list[dict[str, Any]]:
    properties = Wanted.model_json_schema(ref_template=_REF)["properties"]
    parameters = []
    for name, schema in properties.items():
        one = next(
            (part for part in schema.get("anyOf", ()) if part.get("type") != "null"),
            {key: value for key, value in schema.items() if key not in ("title", "description")},
        )
        if name == "state":
            one = {"enum": ["claimed", "completed", "released", "in_doubt", "tombstone", "absent"]}
        parameters.append({"name": name, "in": "query", "description": schema["description"], "schema": one})
    return parameters


def _operation(
    name: str,
    summary: str,
    answer: type[BaseModel] | None,
    *problems: int,
    body: type[BaseModel] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    content = _json(answer) if answer is not None else {"application/octet-stream": {}}
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "Done.", "content": content},
            **{str(status): _refusal(status) for status in (*problems, 401, 403, 503)},
        },
    }
    if parameters is not None:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _json(body)}
    return operation


def _refusal(status: int) -> dict[str, Any]:
    words = {
        400: "What was sent is not as it must be.",
        401: "The token is needed.",
        403: "Another site's page asked, or the listener is not known under this name.",
        404: "There is no such receipt.",
        409: "Its state does not allow it.",
        503: "The database does not answer.",
    }
    return {
        "description": words[status],
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
    }


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
