"""Which secrets are read for an archive, and what is made of them."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from downloader.archive.credentials import gather_secrets, make_authentication
from downloader.archive.nbia.authentication import ApiKey, ApiKeyInAddress, Guest, GuestToken
from downloader.archive.nbia.oauth import BearerTokens
from downloader.clock import SystemClock
from downloader.config.options import Secrets
from downloader.config.settings import Settings
from downloader.errors import SettingsError
from downloader.manifest import ApiGeneration, ArchiveAddress, Auth, KeyPlace
from downloader.transport.client import TransportSettings, open_transport

EVERYTHING = Settings(
    api_key=SecretStr("key of the environment"),
    username=SecretStr("user of the environment"),
    password=SecretStr("password of the environment"),
)
NOTHING = Settings()


def address(api: str, auth: Auth | None = None) -> ArchiveAddress:
    """An archive of this generation."""
    return ArchiveAddress(base_url="https://archive.example.org/nbia-api/services", api=ApiGeneration(api), auth=auth)


def auth_of(**keys: str | Path) -> Auth:
    """As a manifest says it: paths are text there."""
    return Auth.model_validate({name: str(value) for name, value in keys.items()})


def told(secrets: Secrets) -> dict[str, str]:
    """The secrets that there are."""
    names = ("username", "password", "client_secret", "api_key")
    return {name: secret.get_secret_value() for name in names if (secret := getattr(secrets, name))}


@pytest.mark.parametrize(
    ("api", "auth", "expected"),
    [
        ("v1", None, {}),
        ("v4", None, {}),
        ("v4", Auth(), {"username": "user of the environment", "password": "password of the environment"}),
        ("v4", Auth(username="me"), {"username": "me", "password": "password of the environment"}),
        ("v2", None, {"username": "user of the environment", "password": "password of the environment"}),
        ("bindaas", None, {"api_key": "key of the environment"}),
    ],
)
def test_an_archive_is_shown_what_is_meant_for_it(api: str, auth: Auth | None, expected: dict[str, str]) -> None:
    """An account in the environment is not sent to an archive whose manifest does not sign in."""
    assert told(gather_secrets(address(api, auth), EVERYTHING)) == expected


def test_files_win_over_the_environment(tmp_path: Path) -> None:
    """A line break at their end is no part of them."""
    for name in ("password", "client", "key"):
        (tmp_path / name).write_text(f"{name} of a file\n")
    auth = auth_of(username="me", password_file=tmp_path / "password", client_secret_file=tmp_path / "client")
    expected = {"username": "me", "password": "password of a file", "client_secret": "client of a file"}
    assert told(gather_secrets(address("v2", auth), EVERYTHING)) == expected
    assert told(gather_secrets(address("bindaas", auth_of(api_key_file=tmp_path / "key")), EVERYTHING)) == {
        "api_key": "key of a file"
    }


def test_a_file_that_is_not_there_is_named_with_its_key(tmp_path: Path) -> None:
    """Before the archive is asked anything."""
    with pytest.raises(SettingsError, match=r"archive\.auth\.api_key_file: .*none cannot be read"):
        gather_secrets(address("bindaas", auth_of(api_key_file=tmp_path / "none")), NOTHING)


def test_signing_in_needs_a_name() -> None:
    """`auth` without anybody is a mistake; v2 without `auth` is a guest."""
    with pytest.raises(SettingsError, match=r"the user name is missing; set archive\.auth\.username or set TCIAD_USERNAME"):
        gather_secrets(address("v4", Auth()), NOTHING)
    assert gather_secrets(address("v2"), NOTHING) == Secrets()


def test_the_environment_is_not_for_the_archive_of_an_entry() -> None:
    """The error names the archive with the missing account, and says that the environment cannot give it."""
    with pytest.raises(
        SettingsError, match=r"archive\.example\.org: archive\.auth: the user name is missing.* manifest's own archive"
    ):
        gather_secrets(address("v4", Auth()), None)
    assert told(gather_secrets(address("bindaas"), None)) == {}


def test_secrets_do_not_show() -> None:
    """Wherever they are printed."""
    assert "environment" not in repr(gather_secrets(address("v2"), EVERYTHING))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("api", "auth", "secrets", "kind", "headers", "parameters"),
    [
        ("v4", None, Secrets(), Guest, {}, {}),
        ("v1", None, Secrets(), Guest, {}, {}),
        ("v2", None, Secrets(), GuestToken, {"Authorization": "Bearer undefined"}, {}),
        ("bindaas", None, Secrets(), Guest, {}, {}),
        ("bindaas", None, Secrets(api_key=SecretStr("k")), ApiKey, {"api_key": "k"}, {}),
        ("bindaas", Auth(api_key_header="X-Key"), Secrets(api_key=SecretStr("k")), ApiKey, {"X-Key": "k"}, {}),
        ("bindaas", Auth(api_key_in=KeyPlace.QUERY), Secrets(api_key=SecretStr("k")), ApiKeyInAddress, {}, {"api_key": "k"}),
    ],
)
async def test_how_a_request_shows_who_asks(
    api: str, auth: Auth | None, secrets: Secrets, kind: type, headers: dict[str, str], parameters: dict[str, str]
) -> None:
    """Header, parameter, or nothing."""
    clock = SystemClock()
    async with open_transport(TransportSettings(), clock) as transport:
        made = make_authentication(address(api, auth), secrets, transport=transport, clock=clock)
        assert isinstance(made, kind)
        assert (dict(await made.headers()), dict(made.parameters)) == (headers, parameters)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("api", "auth", "secrets", "said"),
    [
        (
            "bindaas",
            None,
            Secrets(),
            "no API key was given: set its file in archive.auth.api_key_file, or set TCIAD_API_KEY_FILE",
        ),
        ("bindaas", None, Secrets(environment_counts=False), "the environment applies to the manifest's own archive only"),
        ("bindaas", Auth(api_key_header="X-Key"), Secrets(api_key=SecretStr("k")), "check the API key, .* in the header X-Key"),
        ("bindaas", Auth(api_key_in=KeyPlace.QUERY), Secrets(api_key=SecretStr("k")), "check the API key, .* in the address"),
        ("v4", None, Secrets(), "no account was given: set username and password_file in archive.auth$"),
        ("v2", None, Secrets(), "no account was given: .* or set TCIAD_USERNAME"),
        ("v1", None, Secrets(), "v1 does not use credentials"),
        ("v2", None, Secrets(username=SecretStr("me"), password=SecretStr("p")), "check user name and password"),
        ("v2", None, Secrets(username=SecretStr("me")), "no password was given: .* TCIAD_PASSWORD_FILE"),
    ],
)
async def test_a_refusal_says_what_can_be_done(api: str, auth: Auth | None, secrets: Secrets, said: str) -> None:
    """What was shown is wrong, or nothing was shown: the message says which."""
    clock = SystemClock()
    async with open_transport(TransportSettings(), clock) as transport:
        made = make_authentication(address(api, auth), secrets, transport=transport, clock=clock)
    assert re.search(said, made.advice)


@pytest.mark.anyio
async def test_an_account_signs_in() -> None:
    """At the archive's own form unless told otherwise."""
    clock = SystemClock()
    account = Secrets(username=SecretStr("me"), password=SecretStr("p"))
    async with open_transport(TransportSettings(), clock) as transport:
        made = make_authentication(address("v4", Auth(username="me")), account, transport=transport, clock=clock)
    assert isinstance(made, BearerTokens)
    assert address("v4").token_url == "https://archive.example.org/nbia-api/oauth/token"
