"""The OpenAPI document (OpenAPI Specification 3.1), made from the endpoints and the types of their replies."""

import re
from collections.abc import Mapping
from typing import Any, Final

from downloader import __version__
from downloader.web.api import ENDPOINTS, PREFIX, ApiEndpoint
from downloader.web.responses import adapter_of
from downloader.web.schemas import Happening, Progress, RefusalReply

_REFERENCE: Final = "#/components/schemas/{model}"
EVENTS_SUMMARY: Final = (
    "Server-sent events: `progress` every second (the running cycles by manifest), and `happening` for each other event. "
    "A gap in the numbers means that events were dropped."
)


def openapi_document() -> dict[str, Any]:
    """The whole document."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(f"{PREFIX}{endpoint.path}", {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    _schema_of(Happening, schemas)
    _schema_of(Progress, schemas)
    paths[f"{PREFIX}/events"] = {"get": _events_operation()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "tciad", "version": __version__, "description": "A running mirror of medical image archives."},
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(endpoint: ApiEndpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    in_path = [
        _parameter(name, "path", f"Name of the {name}.", {"type": "string"}) for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    in_query = [_parameter(of.name, "query", of.description, of.schema) for of in endpoint.takes]
    return {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": in_path + in_query,
        "responses": {
            "200": {"description": "Success.", "content": {"application/json": {"schema": _schema_of(endpoint.reply, schemas)}}},
            "default": {
                "description": "The request was refused; the reason and the next step.",
                "content": {"application/json": {"schema": _schema_of(RefusalReply, schemas)}},
            },
        },
    }


def _events_operation() -> dict[str, Any]:
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        "operationId": "events",
        "summary": EVENTS_SUMMARY,
        "responses": {"200": {"description": "Events until the service or the client closes the stream.", "content": stream}},
    }


def _parameter(name: str, place: str, description: str, schema: Mapping[str, object]) -> dict[str, Any]:
    return {"name": name, "in": place, "description": description, "required": place == "path", "schema": dict(schema)}


def _schema_of(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - any type of a reply
    """The schema of a type, with everything that it names put among the others."""
    schema: dict[str, Any] = adapter_of(kind).json_schema(mode="serialization", ref_template=_REFERENCE)
    schemas.update(schema.pop("$defs", {}))
    if "title" not in schema:
        return schema
    schemas[schema["title"]] = schema
    return {"$ref": _REFERENCE.format(model=schema["title"])}
