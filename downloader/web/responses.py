"""Replies in JSON, and refusals with the next step."""

import json
from collections.abc import Awaitable, Callable
from functools import cache
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import hdrs, web
from pydantic import TypeAdapter

from downloader.errors import OrderError, TciadError, UsageError

_log = structlog.get_logger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@cache
def adapter_of(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - any type that pydantic knows
    """The adapter that turns values of this type into JSON and makes its schema."""
    return TypeAdapter(kind)


def as_json(kind: Any, value: object) -> bytes:  # noqa: ANN401
    """The value as JSON; moments in ISO 8601."""
    return adapter_of(kind).dump_json(value)


def reply_json(body: bytes, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """A reply that is a JSON document."""
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")


def refuse(status: HTTPStatus, message: str, next_step: str | None = None, error: str = "") -> web.Response:
    """A refusal, in the format of all refusals."""
    document = {"error": error or status.phrase, "message": message, "next_step": next_step or ""}
    return reply_json(json.dumps(document).encode(), status)


@web.middleware
async def refuse_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors of ours, and what aiohttp itself refuses, into refusals."""
    try:
        return await handler(request)
    except OrderError as error:
        return refuse(HTTPStatus.NOT_FOUND, error.what, error.next_step, type(error).__name__)
    except UsageError as error:
        return refuse(HTTPStatus.BAD_REQUEST, error.what, error.next_step, type(error).__name__)
    except TciadError as error:
        _log.warning("request failed", path=request.path, error=type(error).__name__, message=str(error))
        return refuse(HTTPStatus.SERVICE_UNAVAILABLE, error.what, error.next_step, type(error).__name__)
    except web.HTTPException as error:
        reply = refuse(HTTPStatus(error.status), f"{request.method} {request.path}: {error.reason}", "see /api/v1/openapi.json")
        if hdrs.ALLOW in error.headers:
            reply.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return reply
