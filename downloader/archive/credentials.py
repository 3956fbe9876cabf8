"""The credentials for an archive, from manifest, environment and files, and the authentication with them.

Only credentials that the archive uses are read, and none is sent to another archive: a manifest without `auth` for v4 uses no
credentials, whatever the environment has.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from downloader.archive.nbia.authentication import ApiKey, ApiKeyInAddress, Authentication, Guest, GuestToken
from downloader.archive.nbia.oauth import Account, BearerTokens
from downloader.clock import Clock
from downloader.config.options import Secrets
from downloader.config.settings import Settings, read_secret
from downloader.errors import SettingsError
from downloader.manifest import ApiGeneration, ArchiveAddress, Auth, KeyPlace
from downloader.transport.client import Transport

_NO_AUTH: Final = Auth()
_EMPTY: Final = Settings.model_construct()
_NOBODY: Final[Mapping[ApiGeneration, tuple[str, str]]] = {
    ApiGeneration.V4: ("no account was given: set username and password_file in archive.auth", ""),
    ApiGeneration.V2: (
        "no account was given: set username and password_file in archive.auth",
        ", or set TCIAD_USERNAME and TCIAD_PASSWORD_FILE",
    ),
    ApiGeneration.V1: ("v1 does not use credentials: use v2 or v4", ""),
    ApiGeneration.BINDAAS: ("no API key was given: set its file in archive.auth.api_key_file", ", or set TCIAD_API_KEY_FILE"),
}
"""The next step if required credentials are missing; the second part is added if the environment counts."""
_NOT_FOR_ENTRIES: Final = ": the environment applies to the manifest's own archive only"


def gather_secrets(address: ArchiveAddress, settings: Settings | None) -> Secrets:
    """The secrets for one archive. Files that the manifest names take precedence over the environment.

    Args:
        address: the archive.
        settings: the environment; None if it is not meant for this archive.

    Raises:
        SettingsError: a file cannot be read, or required credentials are missing.
    """
    auth = address.auth or _NO_AUTH
    counts = settings is not None
    told = settings or _EMPTY
    if address.api is ApiGeneration.BINDAAS:
        return Secrets(api_key=_read("api_key_file", auth.api_key_file) or told.api_key, environment_counts=counts)
    if address.api is ApiGeneration.V1 or (address.api is ApiGeneration.V4 and address.auth is None):
        return Secrets(environment_counts=counts)
    username = SecretStr(auth.username) if auth.username else told.username
    if username is None:
        if address.auth is None:
            return Secrets(environment_counts=counts)
        raise SettingsError(
            f"{address.name}: archive.auth: the user name is missing",
            next_step=f"set archive.auth.username{' or set TCIAD_USERNAME' if counts else _NOT_FOR_ENTRIES}",
        )
    return Secrets(
        username=username,
        password=_read("password_file", auth.password_file) or told.password,
        client_secret=_read("client_secret_file", auth.client_secret_file),
        environment_counts=counts,
    )


def make_authentication(address: ArchiveAddress, secrets: Secrets, *, transport: Transport, clock: Clock) -> Authentication:
    """The authentication for this archive."""
    auth = address.auth or _NO_AUTH
    if secrets.api_key is not None:
        key = secrets.api_key.get_secret_value()
        return ApiKeyInAddress(key) if auth.api_key_in is KeyPlace.QUERY else ApiKey(key, header=auth.api_key_header)
    if secrets.username is not None:
        account = Account(
            username=secrets.username.get_secret_value(),
            password=_shown(secrets.password),
            client_id=auth.client_id,
            client_secret=_shown(secrets.client_secret),
        )
        return BearerTokens(address.token_url, account, transport=transport, clock=clock)
    advice, by_environment = _NOBODY[address.api]
    advice += by_environment if secrets.environment_counts or not by_environment else _NOT_FOR_ENTRIES
    return GuestToken(advice) if address.api is ApiGeneration.V2 else Guest(advice)


def _read(key: str, path: Path | None) -> SecretStr | None:
    return read_secret(path, f"archive.auth.{key}") if path else None


def _shown(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
