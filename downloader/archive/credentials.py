"""Who asks an archive: what manifest, environment and files say of it, and the proof that is made of that.

Nothing is read that the archive has no use for, and what is meant for one archive is shown to no other: a manifest without `auth`
for v4 is a guest's, whatever the environment holds.
"""

from pathlib import Path

from pydantic import SecretStr

from downloader.archive.authentication import ApiKey, ApiKeyInAddress, Authentication, Guest, GuestToken
from downloader.archive.tokens import Account, BearerTokens
from downloader.clock import Clock
from downloader.errors import SettingsError
from downloader.manifest import ApiGeneration, ArchiveAddress, Auth, KeyPlace
from downloader.options import Secrets
from downloader.settings import Settings, read_secret
from downloader.transport import Transport

_NO_AUTH = Auth()


def gather_secrets(address: ArchiveAddress, settings: Settings) -> Secrets:
    """The secrets for one archive. Files that the manifest names win over the environment.

    Raises:
        SettingsError: a file cannot be read, or the archive wants somebody to sign in and nobody is named.
    """
    auth = address.auth or _NO_AUTH
    if address.api is ApiGeneration.BINDAAS:
        return Secrets(api_key=_read("api_key_file", auth.api_key_file) or settings.api_key)
    if address.api is ApiGeneration.V1 or (address.api is ApiGeneration.V4 and address.auth is None):
        return Secrets()
    username = SecretStr(auth.username) if auth.username else settings.username
    if username is None:
        if address.auth is None:
            return Secrets()
        raise SettingsError(
            "archive.auth: there is no user name to sign in with", next_step="give archive.auth.username or set TCIAD_USERNAME"
        )
    return Secrets(
        username=username,
        password=_read("password_file", auth.password_file) or settings.password,
        client_secret=_read("client_secret_file", auth.client_secret_file),
    )


def make_authentication(address: ArchiveAddress, secrets: Secrets, *, transport: Transport, clock: Clock) -> Authentication:
    """What shows to this archive who asks."""
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
    return GuestToken() if address.api is ApiGeneration.V2 else Guest()


def _read(key: str, path: Path | None) -> SecretStr | None:
    return read_secret(path, f"archive.auth.{key}") if path else None


def _shown(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
