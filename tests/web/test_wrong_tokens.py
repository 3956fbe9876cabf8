"""Wrong tokens are slowed down, and no client that has the right one is shut out."""

from pathlib import Path

import aiohttp
import pytest

from downloader.web.wrong_tokens import IN_TOTAL, MOST_ADDRESSES, PER_ADDRESS, WrongTokens
from tests.fakes.clock import FakeClock
from tests.web.scene import TOKEN, HttpScene, served

RIGHT = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [{"Authorization": "Bearer wrong"}, {"Cookie": "tciad=wrong"}])
async def test_after_some_wrong_tokens_an_address_has_to_wait(headers: dict[str, str], tmp_path: Path) -> None:
    """With more wrong ones, until a while has passed."""
    async with served(tmp_path, runs=False, token=TOKEN) as http:
        for _ in range(PER_ADDRESS.burst):
            assert (await status_of(http, headers))[0] == 401
        assert await status_of(http, headers) == (429, "2")
        elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(http.client._base_url, connector=elsewhere) as client:
            assert (await status_of(http, headers, client))[0] == 401
        await http.scene.clock.pass_time(1 / PER_ADDRESS.per_second)
        assert (await status_of(http, headers))[0] == 401


@pytest.mark.anyio
async def test_the_right_token_is_accepted_from_the_address_of_one_who_guesses(tmp_path: Path) -> None:
    """As behind a proxy or NAT: by header, by form and by cookie; the one who guesses has to wait before and after."""
    async with served(tmp_path, runs=False, token=TOKEN) as http:
        wrong = {"Authorization": "Bearer wrong"}
        for _ in range(PER_ADDRESS.burst):
            await status_of(http, wrong)
        assert await status_of(http, wrong) == (429, "2")
        assert await status_of(http, RIGHT) == (200, "")
        async with http.client.post("/login", data={"token": TOKEN}, allow_redirects=False) as reply:
            assert reply.status == 303
            cookie = reply.cookies["tciad"].value
        assert await status_of(http, {"Cookie": f"tciad={cookie}"}) == (200, "")
        assert await status_of(http, wrong | {"Cookie": f"tciad={cookie}"}) == (200, "")
        assert await status_of(http, {"Cookie": "tciad=wrong"}) == (429, "2")


@pytest.mark.anyio
async def test_the_form_counts_as_well(tmp_path: Path) -> None:
    """And asks again, with a status that says when."""
    async with served(tmp_path, runs=False, token=TOKEN) as http:
        for _ in range(PER_ADDRESS.burst):
            async with http.client.post("/login", data={"token": "wrong"}) as reply:
                assert reply.status == 401
                assert "Wrong token." in await reply.text()
        async with http.client.post("/login", data={"token": "wrong"}) as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (429, "2")
            assert "Too many wrong tokens: retry in 2 s." in await reply.text()
        async with http.client.get("/") as reply:
            assert "Wrong token." not in await reply.text()
        async with http.client.get("/healthz") as reply:
            assert reply.status == 200


@pytest.mark.anyio
async def test_no_token_is_no_wrong_token(tmp_path: Path) -> None:
    """A browser that was never asked for it, a scrape that was never given it."""
    async with served(tmp_path, runs=False, token=TOKEN) as http:
        for _ in range(PER_ADDRESS.burst + 1):
            assert (await status_of(http, {}))[0] == 401
        assert (await status_of(http, RIGHT))[0] == 200


async def status_of(http: HttpScene, headers: dict[str, str], client: aiohttp.ClientSession | None = None) -> tuple[int, str]:
    """Of an API request, with when to come again."""
    async with (client or http.client).get("/api/v1/status", headers=headers) as reply:
        return reply.status, reply.headers.get("Retry-After", "")


def test_one_network_has_one_count() -> None:
    """A customer has as many IPv6 addresses as there are guesses."""
    wrong = WrongTokens(FakeClock())
    for number in range(PER_ADDRESS.burst):
        wrong.note(f"2001:db8::{number:x}")
    assert wrong.wait_seconds("2001:db8::ffff") > 0
    assert wrong.wait_seconds("2001:db8:0:1::1") == 0
    assert wrong.wait_seconds("192.0.2.1") == 0


def test_many_addresses_together_are_slowed_down_and_new_ones_are_not() -> None:
    """A client that mistypes its token once learns of it."""
    clock = FakeClock()
    wrong = WrongTokens(clock)
    for number in range(IN_TOTAL.burst):
        wrong.note(f"192.0.2.{number}")
    assert wrong.wait_seconds("192.0.2.0") == 1
    assert wrong.wait_seconds("198.51.100.1") == 0
    clock.elapsed_seconds += 1 / PER_ADDRESS.per_second
    assert wrong.wait_seconds("192.0.2.0") == 0


def test_the_counts_take_little_memory() -> None:
    """The address that was quiet longest is forgotten."""
    wrong = WrongTokens(FakeClock())
    for number in range(MOST_ADDRESSES + 10):
        wrong.note(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(wrong._by_network) == MOST_ADDRESSES
