"""The authentication of requests."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from downloader.errors import CredentialsRejectedError
from downloader.redaction import register_secrets

API_KEY: Final = "api_key"
"""The archive's own header for its key (docs/archives.md#api-keys)."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Authentication(Protocol):
    """Provides the credentials of requests, and new ones when the archive refuses them.

    `parameters` are added to the parameters of every request; they are secret, as the headers are. `can_renew` tells whether
    other credentials may be available after a refusal. `advice` is the user's next step after a final refusal.
    """

    @property
    def advice(self) -> str: ...  # noqa: D102  told above

    @property
    def parameters(self) -> Mapping[str, str]: ...  # noqa: D102  told above

    @property
    def can_renew(self) -> bool: ...  # noqa: D102  told above

    async def headers(self) -> Mapping[str, str]:
        """The headers of the next request. They are secret.

        Raises:
            CredentialsRejectedError: the archive issues no token for these credentials.
        """
        ...

    async def renew(self, refused: Mapping[str, str]) -> None:
        """Get new headers after the archive replied 401 to these.

        Raises:
            CredentialsRejectedError: there are no others.
        """
        ...


class _Unchanging:
    """Constant credentials, which cannot be renewed."""

    can_renew = False

    def __init__(self, *, advice: str, headers: Mapping[str, str] = _NOTHING, parameters: Mapping[str, str] = _NOTHING) -> None:
        self.advice = advice
        self.parameters = parameters
        self._headers = headers

    async def headers(self) -> Mapping[str, str]:
        """Always the same."""
        return self._headers

    async def renew(self, refused: Mapping[str, str]) -> None:  # noqa: ARG002  the port's signature
        """There are no others."""
        raise CredentialsRejectedError("the archive refused the credentials", next_step=self.advice)


class Guest(_Unchanging):
    """No credentials: public series only."""

    def __init__(self, advice: str = "use credentials that the archive accepts") -> None:
        super().__init__(advice=advice)


class GuestToken(_Unchanging):
    """The guest of v2, which requires this constant token and fails without any (docs/archives.md#tokens)."""

    def __init__(self, advice: str = "use credentials that the archive accepts") -> None:
        super().__init__(advice=advice, headers={"Authorization": "Bearer undefined"})


class ApiKey(_Unchanging):
    """The key of an application in a header, as Bindaas recommends; gateways use other header names.

    Source: docs/archives.md#api-keys.
    """

    def __init__(self, key: str, *, header: str = API_KEY) -> None:
        register_secrets(key)
        super().__init__(
            advice=f"check the API key, and that the archive expects it in the header {header}", headers={header: key}
        )


class ApiKeyInAddress(_Unchanging):
    """The key as a parameter of every request, where it can get into the logs of proxies (docs/archives.md#api-keys)."""

    def __init__(self, key: str) -> None:
        register_secrets(key)
        super().__init__(advice="check the API key, and that the archive expects it in the address", parameters={API_KEY: key})
