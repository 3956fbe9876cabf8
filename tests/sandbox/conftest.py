"""A client for the sandbox: plain HTTP, nothing of tciad's own."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from zipfile import ZipFile

import aiohttp
import pytest

from downloader.sandbox import Catalogue, Sandbox, catalogue_of, generated_series


@dataclass(frozen=True)
class Received:
    """A whole reply."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def zip(self) -> ZipFile:
        return ZipFile(BytesIO(self.body))


class Client:
    """Asks a sandbox."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def ask(
        self,
        method: str,
        sandbox: Sandbox,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Received:
        """Send one request and take the whole reply; redirects are not followed."""
        async with self.session.request(
            method,
            f"{sandbox.base_url}/{path}",
            params=parameters,
            headers=headers,
            data=form,
            allow_redirects=False,
        ) as reply:
            return Received(reply.status, dict(reply.headers), await reply.read())

    async def get(self, sandbox: Sandbox, path: str, **parameters: str) -> Received:
        return await self.ask("GET", sandbox, path, parameters=parameters)

    async def post(self, sandbox: Sandbox, path: str, **form: str) -> Received:
        return await self.ask("POST", sandbox, path, form=form)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client with one session."""
    async with aiohttp.ClientSession() as session:
        yield Client(session)


@pytest.fixture
def small() -> Catalogue:
    """Two small series: of 5 images, and of 3."""
    return catalogue_of(
        [generated_series(seed=1, images=5, rows=64, columns=64), generated_series(seed=2, images=3, rows=32, columns=32)]
    )


def first_uid(catalogue: Catalogue) -> str:
    """The first series of a catalogue."""
    return next(iter(catalogue.holdings))
