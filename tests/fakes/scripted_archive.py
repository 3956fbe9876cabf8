"""An archive on a real socket that sends scripted replies: for replies that the sandbox's faults cannot produce."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedRequest:
    """A received request: the endpoint's path below the root, and the parameters of address or form."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    """A reply to send."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Callable[[ScriptedRequest], ScriptedReply]


@dataclass
class ScriptedArchive:
    """`requests` has every request in the order of arrival."""

    base_url: str = ""
    requests: list[ScriptedRequest] = field(default_factory=list)


@asynccontextmanager
async def serve_script(script: Script) -> AsyncIterator[ScriptedArchive]:
    """Answer every request by the script."""
    archive = ScriptedArchive()

    async def answer(request: web.Request) -> web.Response:
        given = await request.post() if request.method == "POST" else request.query
        asked = ScriptedRequest(
            method=request.method,
            path=request.path.lstrip("/"),
            parameters={name: str(value) for name, value in given.items()},
            headers=request.headers,
        )
        archive.requests.append(asked)
        reply = script(asked)
        headers = {"Content-Type": reply.content_type, **reply.headers}
        return web.Response(body=reply.body, status=reply.status, headers=headers)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        archive.base_url = f"http://{host}:{port}"
        yield archive
    finally:
        await runner.cleanup()
