"""Sends one request to an archive, shows who asks, and takes a reply that is not the answer for what it means."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from downloader.archive.nbia.authentication import Authentication
from downloader.archive.nbia.endpoints import CARTS, Endpoint, Method
from downloader.archive.nbia.error_replies import READ_BYTES, Refusal, classify
from downloader.clock import Clock
from downloader.errors import ArchiveError, CredentialsRejectedError, UnexpectedReplyError
from downloader.transport.client import Reply, Transport


class Asker:
    """Asks one archive.

    Args:
        base_url: the address below which the generation's paths lie.
        transport: what carries the requests.
        clock: dates in Retry-After are compared with it.
        authentication: who asks.
    """

    def __init__(self, base_url: str, *, transport: Transport, clock: Clock, authentication: Authentication) -> None:
        self._base_url = base_url.rstrip("/")
        self._transport = transport
        self._clock = clock
        self._authentication = authentication

    @asynccontextmanager
    async def ask(self, endpoint: Endpoint, values: Mapping[str, str]) -> AsyncIterator[Reply]:
        """Send one request; a second time with new credentials when the archive no longer takes the old."""
        headers = await self._authentication.headers()
        async with self._send(endpoint, values, headers) as reply:
            if reply.status != 401 or not self._authentication.can_renew:
                yield reply
                return
        # only now: a renewal needs a connection, and all of them may be waiting for it
        await self._authentication.renew(headers)
        async with self._send(endpoint, values, await self._authentication.headers()) as reply:
            yield reply

    async def expect_answer(self, reply: Reply, series_instance_uid: str | None = None) -> None:
        """Enter upon a reply that is the answer.

        Raises:
            ArchiveError: it is none.
        """
        refusal = await read_refusal(reply, series_instance_uid)
        if refusal is not None:
            raise self.explain(refusal)

    def explain(self, refusal: Refusal) -> ArchiveError:
        """The error for a reply that is not the answer."""
        error = classify(refusal, self._clock.now())
        if isinstance(error, CredentialsRejectedError):
            # only whoever showed something, or nothing, knows what can be done about it
            error.next_step = self._authentication.advice
        return error

    def _send(
        self, endpoint: Endpoint, values: Mapping[str, str], headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Reply]:
        url = f"{self._base_url}/{endpoint.path}"
        parameters = {**endpoint.fill(values), **self._authentication.parameters}
        if endpoint.method is Method.POST:
            return self._transport.post_form(url, form=parameters, headers=headers)
        return self._transport.get(url, params=parameters, headers=headers)


@contextmanager
def told_of_carts(endpoint: Endpoint) -> Iterator[None]:
    """Say of a host that does not know the endpoint of carts what that means: its address may be right all the same."""
    try:
        yield
    except UnexpectedReplyError as error:
        if error.status == 404:
            error.what = f"this host does not offer shared carts ({endpoint.path}): {error.what}"
            error.next_step = CARTS
        raise


async def read_refusal(reply: Reply, series_instance_uid: str | None) -> Refusal | None:
    """The reply, read as far as it takes to tell of it, if it is not the answer; None if it is."""
    if reply.status in {200, 204}:
        return None
    return Refusal(
        url=reply.url,
        status=reply.status,
        headers=reply.headers,
        text=await reply.text(READ_BYTES),
        series_instance_uid=series_instance_uid,
    )
