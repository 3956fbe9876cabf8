"""How a request shows who asks."""

from collections.abc import Mapping
from typing import Protocol


class Authentication(Protocol):
    """Gives the headers that prove who asks, and new ones when the archive no longer takes the old."""

    async def headers(self) -> Mapping[str, str]:
        """The headers for the next request. They are secrets.

        Raises:
            CredentialsRejectedError: the archive gives no token for these credentials.
        """
        ...

    async def renew(self, refused: Mapping[str, str]) -> bool:
        """The archive answered 401 to these headers: get others. False when there are none to get."""
        ...


class Guest:
    """Nobody: public series only."""

    async def headers(self) -> Mapping[str, str]:
        """No headers at all."""
        return {}

    async def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002  the port's signature
        """A guest has nothing else to show."""
        return False
