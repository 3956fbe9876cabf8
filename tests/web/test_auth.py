"""Who may ask the service, and what browsers must refuse."""

from pathlib import Path

import pytest

from tests.web.scene import TOKEN, served

pytestmark = pytest.mark.anyio


async def test_a_page_of_another_site_can_neither_read_nor_order(tmp_path: Path) -> None:
    """Neither by a name that leads here (DNS rebinding) nor by a form."""
    async with served(tmp_path, runs=False) as http:
        for host, status in (("localhost:1", 200), ("127.0.0.1", 200), ("evil.example:8642", 421), ("", 421)):
            async with http.client.get("/api/v1/status", headers={"Host": host}) as reply:
                assert reply.status == status
        own = str(http.client._base_url).rstrip("/")
        for headers, status in (
            ({}, 200),
            ({"Origin": own}, 200),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site"}, 403),
            ({"Sec-Fetch-Site": "same-origin", "Origin": own}, 200),
        ):
            async with http.client.post("/api/v1/resume", headers=headers) as reply:
                assert reply.status == status, headers


async def test_every_reply_tells_browsers_to_be_strict(tmp_path: Path) -> None:
    """Pages, documents and refusals alike."""
    async with served(tmp_path, runs=False) as http:
        for path in ("/", "/healthz", "/api/v1/status", "/page/page.js", "/nothing"):
            async with http.client.get(path) as reply:
                policy = reply.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_token_is_wanted_for_all_but_health(tmp_path: Path) -> None:
    """In the header that programs send."""
    async with served(tmp_path, runs=False, token=TOKEN) as http:
        for path in ("/metrics", "/api/v1/status", "/api/v1/events", "/api/v1/openapi.json", "/page/page.js", "/nothing"):
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Basic {TOKEN}"},
                {"Cookie": f"tciad={TOKEN}"},
            ):
                async with http.client.get(path, headers=headers) as reply:
                    assert reply.status == 401, path
                    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
            # or the wrong ones would be too many
            await http.scene.clock.pass_time(4)
        async with http.client.post("/api/v1/pause") as reply:
            assert reply.status == 401
        for path in ("/healthz", "/readyz"):
            async with http.client.get(path) as reply:
                assert reply.status == 200
        async with http.client.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"}) as reply:
            assert reply.status == 200


async def test_a_browser_is_asked_for_the_token_once(tmp_path: Path) -> None:
    """The cookie is not the token, and no script can read it."""
    async with served(tmp_path, runs=False, token=TOKEN) as http:
        async with http.client.get("/") as reply:
            assert reply.status == 401
            assert "Token of this service" in await reply.text()
        async with http.client.post("/login", data={"token": "wrong"}) as reply:
            assert (reply.status, reply.cookies) == (401, {})
        async with http.client.post("/login", data={"token": TOKEN}, allow_redirects=False) as reply:
            assert (reply.status, reply.headers["Location"]) == (303, "/")
            told = reply.headers["Set-Cookie"]
            assert "HttpOnly" in told
            assert "SameSite=Strict" in told
            assert TOKEN not in told
            session = reply.cookies["tciad"].value
        for path in ("/", "/api/v1/status"):
            async with http.client.get(path, headers={"Cookie": f"tciad={session}"}) as reply:
                assert reply.status == 200
        async with http.client.post("/login", data={"token": TOKEN}, headers={"Origin": "http://evil.example"}) as reply:
            assert reply.status == 403
