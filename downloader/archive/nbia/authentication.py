"""How a request shows who asks."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from downloader.errors import CredentialsRejectedError
from downloader.redaction import register_secrets

API_KEY: Final = "api_key"
"""The name under which the archive itself wants its key (docs/archives.md#api-keys)."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Authentication(Protocol):
    """Gives what proves who asks, and something new when the archive no longer takes the old.

    `parameters` go with every request's parameters; they are secrets, as the headers are. `can_renew` tells whether there may be
    something else to show than what the archive refused. `advice` is what the user can do when it is refused for good.
    """

    @property
    def advice(self) -> str: ...  # noqa: D102  told above

    @property
    def parameters(self) -> Mapping[str, str]: ...  # noqa: D102  told above

    @property
    def can_renew(self) -> bool: ...  # noqa: D102  told above

    async def headers(self) -> Mapping[str, str]:
        """The headers for the next request. They are secrets.

        Raises:
            CredentialsRejectedError: the archive gives no token for these credentials.
        """
        ...

    async def renew(self, refused: Mapping[str, str]) -> None:
        """The archive answered 401 to these headers: get others.

        Raises:
            CredentialsRejectedError: there are none to get.
        """
        ...


class _Unchanging:
    """What is shown stays the same: there is nothing to renew."""

    can_renew = False

    def __init__(self, *, advice: str, headers: Mapping[str, str] = _NOTHING, parameters: Mapping[str, str] = _NOTHING) -> None:
        self.advice = advice
        self.parameters = parameters
        self._headers = headers

    async def headers(self) -> Mapping[str, str]:
        """Always the same."""
        return self._headers

    async def renew(self, refused: Mapping[str, str]) -> None:  # noqa: ARG002  the port's signature
        """There is nothing else to show."""
        raise CredentialsRejectedError("the archive refused the credentials", next_step=self.advice)


class Guest(_Unchanging):
    """Nobody: public series only."""

    def __init__(self, advice: str = "use credentials that the archive accepts") -> None:
        super().__init__(advice=advice)


class GuestToken(_Unchanging):
    """The guest of v2, which takes this one word for it and fails without any (docs/archives.md#tokens)."""

    def __init__(self, advice: str = "use credentials that the archive accepts") -> None:
        super().__init__(advice=advice, headers={"Authorization": "Bearer undefined"})


class ApiKey(_Unchanging):
    """The key of an application in a header, as Bindaas recommends it; gateways call the header otherwise.

    Source: docs/archives.md#api-keys.
    """

    def __init__(self, key: str, *, header: str = API_KEY) -> None:
        register_secrets(key)
        super().__init__(
            advice=f"check the API key, and that the archive expects it in the header {header}", headers={header: key}
        )


class ApiKeyInAddress(_Unchanging):
    """The key as a parameter of every request, where it can end up in the logs of proxies (docs/archives.md#api-keys)."""

    def __init__(self, key: str) -> None:
        register_secrets(key)
        super().__init__(advice="check the API key, and that the archive expects it in the address", parameters={API_KEY: key})
