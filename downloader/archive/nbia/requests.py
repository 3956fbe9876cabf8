"""Sends a request to an archive, with its authentication, and translates error replies."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from downloader.archive.nbia.authentication import Authentication
from downloader.archive.nbia.endpoints import CARTS, Endpoint, Method
from downloader.archive.nbia.error_replies import READ_BYTES, Refusal, classify
from downloader.clock import Clock
from downloader.errors import ArchiveError, CredentialsRejectedError, UnexpectedReplyError
from downloader.transport.client import Reply, Transport


class Asker:
    """Sends requests to one archive.

    Args:
        base_url: the address below which the generation's paths are.
        transport: sends the requests.
        clock: for dates in Retry-After.
        authentication: the credentials.
    """

    def __init__(self, base_url: str, *, transport: Transport, clock: Clock, authentication: Authentication) -> None:
        self._base_url = base_url.rstrip("/")
        self._transport = transport
        self._clock = clock
        self._authentication = authentication

    @asynccontextmanager
    async def ask(self, endpoint: Endpoint, values: Mapping[str, str]) -> AsyncIterator[Reply]:
        """Send one request; a second time with new credentials if the archive refuses the old ones."""
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
        """Raise an error unless the reply is the requested one.

        Raises:
            ArchiveError: it is an error reply.
        """
        refusal = await read_refusal(reply, series_instance_uid)
        if refusal is not None:
            raise self.explain(refusal)

    def explain(self, refusal: Refusal) -> ArchiveError:
        """The error for an error reply."""
        error = classify(refusal, self._clock.now())
        if isinstance(error, CredentialsRejectedError):
            # the next step depends on the credentials that were sent, if any
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
def explained_for_carts(endpoint: Endpoint) -> Iterator[None]:
    """Explain an unknown endpoint of carts: the host lacks carts, but its address may be correct."""
    try:
        yield
    except UnexpectedReplyError as error:
        if error.status == 404:
            error.what = f"this host does not offer shared carts ({endpoint.path}): {error.what}"
            error.next_step = CARTS
        raise


async def read_refusal(reply: Reply, series_instance_uid: str | None) -> Refusal | None:
    """Read as much of an error reply as its message needs; None if it is not an error reply."""
    if reply.status in {200, 204}:
        return None
    return Refusal(
        url=reply.url,
        status=reply.status,
        headers=reply.headers,
        text=await reply.text(READ_BYTES),
        series_instance_uid=series_instance_uid,
    )
