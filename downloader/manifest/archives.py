"""Which archive a manifest means: built-in profiles, addresses, and what may be said about credentials."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from downloader.config.messages import explain, one_of, quote, refuse_choice
from downloader.config.options import choose
from downloader.errors import SettingsError
from downloader.manifest.keys import FileName, Keys, Text

SANDBOX_PORT: Final = 8742
SANDBOX_PROFILE: Final = "sandbox"
_SERVLET: Final = re.compile(r"/nbia-download/servlet/DownloadServlet(V\d+)?/?$", re.IGNORECASE)
_TCIA_HOSTS: Final = frozenset(f"{name}.cancerimagingarchive.net" for name in ("public", "services", "nbia"))
_NLST_HOST: Final = "nlst.cancerimagingarchive.net"


class ApiGeneration(StrEnum):
    """Which API the archive speaks (docs/archives.md#api-history); `bindaas` is the REST API of 2013."""

    V4 = "v4"
    V2 = "v2"
    V1 = "v1"
    BINDAAS = "bindaas"


class KeyPlace(StrEnum):
    """Where an API key goes. In the address it can end up in the logs of proxies, so the header is the default."""

    HEADER = "header"
    QUERY = "query"


_TOKEN_KEYS: Final = frozenset({"username", "password_file", "token_url", "client_id", "client_secret_file"})
_AUTH_KEYS: Final[Mapping[ApiGeneration, frozenset[str]]] = MappingProxyType(
    {
        ApiGeneration.V4: _TOKEN_KEYS,
        ApiGeneration.V2: _TOKEN_KEYS,
        ApiGeneration.V1: frozenset(),
        ApiGeneration.BINDAAS: frozenset({"api_key_file", "api_key_header", "api_key_in"}),
    }
)


def _check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{quote(text)} is not an address") from error
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address must not contain a user name or password; use auth")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError(f"{quote(text)} is not an address that begins with http:// or https://")
    if parts.query or parts.fragment or re.search(r"[\s\\]", text):
        raise ValueError("an address must not contain spaces, ? or #")
    return text.rstrip("/")


def _check_base_url(text: str) -> str:
    address = _check_url(text)
    last = address.rpartition("/")[2]
    if last in ("v1", "v2", "v4"):
        raise ValueError(f"remove /{last} from the address and set api: {last}")
    if last == "query":
        raise ValueError("remove /query from the address and set api: bindaas")
    return address


def _check_header(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text):
        raise ValueError(f"{quote(text)} is not a valid name of an HTTP header")
    return text


_URL_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": r"^https?://[^\s?#]+$"})
BaseUrl = Annotated[Text, AfterValidator(_check_base_url), _URL_SCHEMA]
Url = Annotated[Text, AfterValidator(_check_url), _URL_SCHEMA]


class Auth(Keys):
    """How to show who asks. Secrets themselves come from files or from the environment, never from a manifest."""

    username: Text | None = Field(default=None, description="Account at the archive; also TCIAD_USERNAME.")
    password_file: FileName | None = Field(
        default=None, description="File with the password, relative to the manifest; also TCIAD_PASSWORD."
    )
    token_url: Url | None = Field(default=None, description="Address that issues tokens; default: <base_url>/../oauth/token.")
    client_id: Text = Field(default="nbia", description="OAuth client ID for token requests.")
    client_secret_file: FileName | None = Field(
        default=None, description="File with the OAuth client secret, relative to the manifest; few archives require one."
    )
    api_key_file: FileName | None = Field(
        default=None, description="File with the API key, relative to the manifest; also TCIAD_API_KEY. For bindaas."
    )
    api_key_header: Annotated[Text, AfterValidator(_check_header)] = Field(
        default="api_key", description="HTTP header for the API key. For bindaas."
    )
    api_key_in: Annotated[KeyPlace, BeforeValidator(choose(KeyPlace))] = Field(
        default=KeyPlace.HEADER,
        description="Whether the API key is sent as a header or as the query parameter api_key. For bindaas.",
    )

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.api_key_in is KeyPlace.QUERY and "api_key_header" in self.model_fields_set:
            raise ValueError("api_key_header cannot be combined with api_key_in: query; the query parameter is always api_key")
        return self


class ArchiveAddress(Keys):
    """One archive: its address, the generation of its API, and how to show who asks."""

    base_url: BaseUrl = Field(description="Address without the version, such as https://host/nbia-api/services.")
    api: Annotated[ApiGeneration, BeforeValidator(choose(ApiGeneration))] = Field(
        default=ApiGeneration.V4, description="Generation of the API; bindaas is the REST API of 2013."
    )
    auth: Auth | None = Field(default=None, description="Credentials; not needed for public data.")

    @model_validator(mode="after")
    def _check_auth(self) -> Self:
        if self.auth is None:
            return self
        allowed = _AUTH_KEYS[self.api]
        wrong = sorted(self.auth.model_fields_set - allowed)
        if wrong:
            takes = f"it uses {', '.join(sorted(allowed))}" if allowed else "it uses no credentials"
            raise ValueError(f"api {self.api.value} does not use auth.{wrong[0]}; {takes}")
        return self

    @property
    def name(self) -> str:
        """The profile's name, or the host: how logs, metrics and the store call the archive.

        An address that the user wrote is never the sandbox, which tciad starts on demand whatever listens at its address.
        """
        if any(self is address for address in _SANDBOXES.values()):
            return SANDBOX_PROFILE
        for name, address in PROFILES.items():
            if address.base_url == self.base_url and name != SANDBOX_PROFILE:
                return name
        return urlsplit(self.base_url).netloc

    @property
    def token_url(self) -> str:
        """Where tokens are issued (docs/archives.md#tokens)."""
        if self.auth is not None and self.auth.token_url is not None:
            return self.auth.token_url
        return f"{self.base_url.rpartition('/')[0]}/oauth/token"

    @property
    def password_file(self) -> Path | None:
        """The file that holds the password, if the manifest names one."""
        return self.auth.password_file if self.auth else None

    @property
    def api_key_file(self) -> Path | None:
        """The file that holds the API key, if the manifest names one."""
        return self.auth.api_key_file if self.auth else None


PROFILES: Final[Mapping[str, ArchiveAddress]] = MappingProxyType(
    {
        "tcia": ArchiveAddress(base_url="https://nbia.cancerimagingarchive.net/nbia-api/services"),
        "nlst": ArchiveAddress(base_url=f"https://{_NLST_HOST}/nbia-api/services"),
        SANDBOX_PROFILE: ArchiveAddress(base_url=f"http://127.0.0.1:{SANDBOX_PORT}/nbia-api/services"),
        "tcia-2013": ArchiveAddress(
            base_url="https://services.cancerimagingarchive.net/services/TCIA/TCIA", api=ApiGeneration.BINDAAS
        ),
        "tcia-2013-test": ArchiveAddress(
            base_url="https://services-test.cancerimagingarchive.net/services/TCIA/TCIA", api=ApiGeneration.BINDAAS
        ),
    }
)
DEFAULT_PROFILE: Final = "tcia"
_NBIA: Final = (ApiGeneration.V4, ApiGeneration.V2, ApiGeneration.V1)
_SANDBOX: Final = PROFILES[SANDBOX_PROFILE]
_SANDBOXES: Final[Mapping[ApiGeneration, ArchiveAddress]] = MappingProxyType(
    {api: _SANDBOX if api is _SANDBOX.api else ArchiveAddress(base_url=_SANDBOX.base_url, api=api) for api in _NBIA}
)
"""The sandbox that is started on demand, by the generation that it is asked in: no other address is it."""


def _profile_or_address(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value in PROFILES:
        return PROFILES[value]
    if "://" in value:
        raise ValueError("write an address as a mapping: {base_url: …, api: v4}")
    raise ValueError(refuse_choice(value, list(PROFILES)))


class _ProfileSchema:
    """In the JSON Schema: the name of a profile, or a mapping."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"enum": list(PROFILES)}, handler(schema)]}


ProfileOrAddress = Annotated[ArchiveAddress, BeforeValidator(_profile_or_address), _ProfileSchema()]


def archive_of_download_url(download_url: str) -> ArchiveAddress:
    """The archive whose carts name this `downloadServerUrl`; the default profile where they name none.

    Raises:
        ValueError: not an address.

    Source: docs/archives.md#tcia-manifests.
    """
    if not download_url:
        return PROFILES[DEFAULT_PROFILE]
    address = _check_url(download_url)
    host = urlsplit(address).hostname
    if host == _NLST_HOST:
        return PROFILES["nlst"]
    if host in _TCIA_HOSTS:
        return PROFILES["tcia"]
    parts = urlsplit(_SERVLET.sub("", address))
    folder = parts.path if _SERVLET.search(address) else ""
    return ArchiveAddress(base_url=f"{parts.scheme}://{parts.netloc}{folder}/nbia-api/services")


def archive_of_list(download_url: str, archive: str | None, api: str | None) -> ArchiveAddress:
    """The archive of a series list: what the flags say, else what the list's `downloadServerUrl` does.

    Raises:
        ValueError: that is no address.
        SettingsError: the flags name no archive, or do not go together.
    """
    if archive is not None:
        return named_address(archive, api, "--archive")
    address = archive_of_download_url(download_url)
    if api is None:
        return address
    if address.name in PROFILES:
        return named_address(address.name, api, "--api")
    if api == ApiGeneration.BINDAAS:
        raise SettingsError(
            f"--api: the list is for {address.name} at {address.base_url}, which does not have this API",
            next_step=f"name the base URL that speaks {api} with --archive",
        )
    return named_address(address.base_url, api, "--api")


def named_address(archive: str, api: str | None, named: str) -> ArchiveAddress:
    """The archive that the user names: a built-in one, or a base URL; either with the generation of its API.

    Raises:
        SettingsError: neither of the two, or a generation that it does not have; `named` is the flag or key for the message.
    """
    if archive in PROFILES:
        return _profile_in(archive, api, named)
    if "://" not in archive:
        raise SettingsError(f"{named}: {refuse_choice(archive, list(PROFILES))}, nor a base URL")
    try:
        return ArchiveAddress.model_validate({"base_url": archive} if api is None else {"base_url": archive, "api": api})
    except ValidationError as error:
        raise SettingsError(f"{named}: {explain(error.errors()[0])}") from error


def _profile_in(name: str, api: str | None, named: str) -> ArchiveAddress:
    """A built-in archive, in its own generation or in another: one server answers v4, v2 and v1.

    Source: docs/archives.md#api-history.
    """
    profile = PROFILES[name]
    spoken = _NBIA if profile.api in _NBIA else (profile.api,)
    if api is None or api == profile.api:
        return profile
    if api not in list(spoken):
        raise SettingsError(f"{named}: {name} has the API {one_of([one.value for one in spoken])}, not {quote(api)}")
    if name == SANDBOX_PROFILE:
        return _SANDBOXES[ApiGeneration(api)]
    return ArchiveAddress(base_url=profile.base_url, api=ApiGeneration(api))
