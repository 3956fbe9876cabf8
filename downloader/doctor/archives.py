"""Determines the API of an address, and checks an archive and its credentials."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError

from downloader.archive.credentials import gather_secrets
from downloader.archive.question import Question, Topic
from downloader.config.messages import explain
from downloader.config.options import Secrets
from downloader.config.settings import SECRET_NAMES, Settings
from downloader.engine.mirror import open_archive_queries
from downloader.errors import (
    AccessDeniedError,
    ArchiveError,
    ArchiveUnreachableError,
    CredentialsRejectedError,
    ExitCode,
    SettingsError,
    TciadError,
)
from downloader.manifest import PROFILES, SANDBOX_PROFILE, ApiGeneration, ArchiveAddress, Auth
from downloader.results.amounts import count_text
from downloader.results.doctor import Check, Health

_BELOW_BASE: Final = re.compile(r"/(?:v[124]|query)(?:/[^/]*)?$|/get[A-Za-z0-9]+$")
_NBIA: Final = "/nbia-api"
_SERVICES: Final = f"{_NBIA}/services"
_WANTS_CREDENTIALS: Final = (CredentialsRejectedError, AccessDeniedError)
_TOO_MANY_REQUESTS: Final = 429
_NO_ONE: Final = dict.fromkeys(SECRET_NAMES)
_ACCOUNT: Final = {"username": "YOUR-NAME", "password_file": "FILE"}
_WANTED: Final[Mapping[ApiGeneration, Mapping[str, str]]] = {
    ApiGeneration.V2: _ACCOUNT,
    ApiGeneration.V4: _ACCOUNT,
    ApiGeneration.BINDAAS: {"api_key_file": "FILE"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The findings. `manifest` is the archive's part of a manifest; empty if no archive responded."""

    checks: tuple[Check, ...]
    manifest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """How an address responded in one generation: a number of collections, or an error. `signed_in`: with credentials."""

    address: ArchiveAddress
    signed_in: bool
    collections: int = 0
    error: TciadError | None = None

    @property
    def wants_credentials(self) -> bool:
        """Whether the address has this API, but requires credentials."""
        return isinstance(self.error, _WANTS_CREDENTIALS)

    @property
    def is_down(self) -> bool:
        """Whether the host responds but is out of service."""
        status = self.error.status if isinstance(self.error, ArchiveError) else None
        return status is not None and (status >= 500 or status == _TOO_MANY_REQUESTS)


async def examine_archive(address: ArchiveAddress, settings: Settings) -> Diagnosis:
    """Check an archive whose API is known, as a run would use it, and with the environment's account if that is another."""
    answer = await _ask(address, settings)
    checks = [_archive_check(answer)]
    has_accounts = address.api is ApiGeneration.V4 and address.name != SANDBOX_PROFILE
    if answer.error is None and not answer.signed_in and has_accounts and settings.username is not None:
        signed = await _ask(address.model_copy(update={"auth": Auth()}), settings)
        checks.append(_account_check(answer, signed))
        if signed.collections > answer.collections:
            answer = signed
    return Diagnosis(checks=tuple(checks), manifest=_manifest_lines(answer))


async def examine_address(text: str, settings: Settings) -> Diagnosis:
    """Determine the API of an address, or of likely variants of it; then check that archive.

    Raises:
        SettingsError: it is not an address.
    """
    tried: list[_Answer] = []
    for base_url in _meant_by(text):
        for address in _in_every_generation(base_url):
            # a request without credentials finds the generation whether or not the credentials are right
            answer = await _ask(address, settings.model_copy(update=_NO_ONE))
            tried.append(answer)
            if answer.error is None:
                return await examine_archive(address, settings)
            if isinstance(answer.error, ArchiveUnreachableError):
                # it will not be reached in any other generation
                return Diagnosis(checks=(_archive_check(answer),))
        wanting = next((answer for answer in tried if answer.wants_credentials), None)
        if wanting is not None:
            return await examine_archive(wanting.address, settings)
    return Diagnosis(checks=(_nothing_found_check(text, tried),))


def _meant_by(text: str) -> Sequence[str]:
    """The address, and likely variants of one that is too long or too short, the likeliest first.

    Raises:
        SettingsError: it is not an address.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise SettingsError(f"--archive: {text!r} is not an address") from error
    base = text.partition("?")[0].rstrip("/")
    while (shorter := _BELOW_BASE.sub("", base)) != base:
        base = shorter
    before = base.partition(_NBIA)[0]
    # both are answered, and only the longer one lies beside the place that issues tokens (docs/archives.md#api-history, #tokens)
    longer = [f"{base}/services"] if base.endswith(_NBIA) else []
    return list(dict.fromkeys([*longer, base, before + _SERVICES, f"{parts.scheme}://{parts.netloc}{_SERVICES}"]))


def _in_every_generation(base_url: str) -> Iterator[ArchiveAddress]:
    for api in ApiGeneration:
        try:
            yield ArchiveAddress(base_url=base_url, api=api)
        except ValidationError as error:
            raise SettingsError(f"--archive: {explain(error.errors()[0])}") from error


async def _ask(address: ArchiveAddress, settings: Settings) -> _Answer:
    """Request the collections once, without retries."""
    signed_in = False
    try:
        signed_in = gather_secrets(address, settings) != Secrets()
        async with (
            open_archive_queries(address, settings) as queries,
            aclosing(queries.find_rows(Question(topic=Topic.COLLECTIONS))) as rows,
        ):
            return _Answer(address=address, signed_in=signed_in, collections=len([row async for row in rows]))
    except TciadError as error:
        return _Answer(address=address, signed_in=signed_in, error=error)


def _archive_check(answer: _Answer) -> Check:
    address, error = answer.address, answer.error
    if error is None and answer.collections:
        listed = count_text(answer.collections, "collection")
        signed = " to your account" if answer.signed_in else ""
        return Check(
            name="archive", health=Health.OK, sentence=f"{address.base_url} has the API {address.api} and lists {listed}{signed}"
        )
    if error is None:
        return Check(
            name="archive",
            health=Health.WARNING,
            sentence=f"{address.base_url} has the API {address.api} but lists no collections, as if its database failed",
            next_step="try again later, with credentials if you have some",
        )
    if answer.wants_credentials:
        return Check(
            name="credentials",
            health=Health.FAILED,
            sentence=f"{address.base_url} has the API {address.api} but refuses requests: {error.what}",
            next_step=error.next_step or "",
            exit_code=CredentialsRejectedError.exit_code,
        )
    later = "try again later; contact the archive's help desk if this persists" if answer.is_down else ""
    return _failed(f"{address.base_url}: {error.what}", error.next_step or later, error.exit_code)


def _failed(sentence: str, next_step: str, exit_code: ExitCode) -> Check:
    return Check(name="archive", health=Health.FAILED, sentence=sentence, next_step=next_step, exit_code=exit_code)


def _account_check(guest: _Answer, signed: _Answer) -> Check:
    """Whether the account in the environment works at an archive that serves guests too."""
    error = signed.error
    place = signed.address.token_url
    if error is None:
        more = signed.collections - guest.collections
        told = f"lists {count_text(more, 'collection')} more to it" if more > 0 else "lists no more to it than to a guest"
        return Check(name="credentials", health=Health.OK, sentence=f"the account can sign in at {place}; the archive {told}")
    if signed.wants_credentials:
        return Check(
            name="credentials",
            health=Health.FAILED,
            sentence=f"the account in TCIAD_USERNAME is refused: {error.what}",
            next_step=f"{error.next_step}; or unset TCIAD_USERNAME: public series need no account",
            exit_code=CredentialsRejectedError.exit_code,
        )
    return Check(
        name="credentials",
        health=Health.WARNING,
        sentence=f"cannot determine whether the account in TCIAD_USERNAME works: {error.what}",
        next_step=error.next_step or "try again later",
    )


def _nothing_found_check(text: str, tried: Sequence[_Answer]) -> Check:
    """No API was found: the host is out of service, or is not an archive."""
    down = next((answer.error for answer in tried if answer.is_down), None)
    if down is not None:
        return _failed(
            f"{text} is out of service, so its API cannot be determined: {down.what}",
            "try again later; contact the archive's help desk if this persists",
            down.exit_code,
        )
    each = "; ".join(
        f"{answer.address.base_url} as {answer.address.api}: {answer.error.what}"
        for answer in tried[: len(ApiGeneration)]
        if answer.error is not None
    )
    return _failed(
        f"no NBIA API found at {text} ({each})",
        "look up the address in the archive's own documentation; it often ends in /nbia-api/services",
        SettingsError.exit_code,
    )


def _manifest_lines(answer: _Answer) -> str:
    """The lines of a manifest for the archive."""
    address = answer.address
    if address.name in PROFILES and address == PROFILES[address.name]:
        return f"archive: {address.name}"
    said: dict[str, object] = {"base_url": address.base_url, "api": address.api.value}
    if address.auth is not None:
        said["auth"] = address.auth.model_dump(mode="json", exclude_unset=True)
    elif answer.wants_credentials and address.api in _WANTED:
        said["auth"] = dict(_WANTED[address.api])
    text: str = yaml.safe_dump({"archive": said}, sort_keys=False, allow_unicode=True)
    return text.rstrip()
