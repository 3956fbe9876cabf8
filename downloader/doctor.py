"""Looks at everything that a run needs, one thing after the other, and says in plain words what is wrong with it."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import anyio.to_thread
import yaml
from pydantic import ValidationError

from downloader.archive.port import Question, Topic
from downloader.engine import free_bytes_at, open_archive_queries
from downloader.errors import (
    AccessDeniedError,
    ArchiveUnreachableError,
    CredentialsRejectedError,
    SettingsError,
    StoreError,
    TciadError,
)
from downloader.manifest import PROFILES, ApiGeneration, ArchiveAddress
from downloader.options import RunOptions
from downloader.settings import Settings
from downloader.stores import open_records, state_path
from downloader.views.doctor import Check, DoctorReport, Health
from downloader.views.texts import count_text, size_text
from downloader.wording import explain

_BELOW_BASE: Final = re.compile(r"/(?:v[124]|query)(?:/[^/]*)?$|/get[A-Za-z0-9]+$")
_SERVICES: Final = "/nbia-api/services"
_WANTS_CREDENTIALS: Final = (CredentialsRejectedError, AccessDeniedError)
EXIT_NO_ROOM: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """What to look at. `base_url` is an address whose generation is to be found out; `address` is an archive that is known."""

    base_url: str
    address: ArchiveAddress | None
    settings: Settings
    options: RunOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """How an address answered in one generation: so many collections, or an error."""

    address: ArchiveAddress
    collections: int = 0
    error: TciadError | None = None

    @property
    def speaks(self) -> bool:
        """Whether this generation is spoken there, be it only to those who sign in."""
        return self.error is None or isinstance(self.error, _WANTS_CREDENTIALS)


async def examine(doctor: Doctor) -> DoctorReport:
    """Look at network, archive, credentials, disk and state store. Changes nothing."""
    checks = list(_environment())
    answer, archive_checks = await (_known(doctor.address, doctor.settings) if doctor.address else _find_out(doctor))
    checks += archive_checks
    checks += await anyio.to_thread.run_sync(_disk, doctor.options)
    checks += await _store(doctor.options)
    return DoctorReport(checks=tuple(checks), manifest=_manifest_lines(answer) if answer is not None else "")


def _environment() -> Iterator[Check]:
    proxies = {
        scheme: urlsplit(address).hostname or "?" for scheme, address in getproxies_environment().items() if scheme != "no"
    }
    if proxies:
        told = ", ".join(f"{scheme} by way of {host}" for scheme, host in sorted(proxies.items()))
        yield Check(name="proxy", health=Health.OK, sentence=f"the environment sends {told}")
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates and not Path(certificates).is_file():
        yield Check(
            name="certificates",
            health=Health.FAILED,
            sentence=f"SSL_CERT_FILE names {certificates}, and there is no such file",
            next_step="correct it, or unset it",
            exit_code=SettingsError.exit_code,
        )


async def _known(address: ArchiveAddress, settings: Settings) -> tuple[_Answer, list[Check]]:
    """An archive whose generation is known."""
    answer = await _ask(address, settings)
    return answer, [_told(answer)]


async def _find_out(doctor: Doctor) -> tuple[_Answer | None, list[Check]]:
    """Ask in every generation, newest first, at the address and at those that may be meant by it."""
    tried: list[_Answer] = []
    for address in _candidates(doctor.base_url):
        answer = await _ask(address, doctor.settings)
        if answer.speaks:
            return answer, [_told(answer)]
        tried.append(answer)
        if isinstance(answer.error, ArchiveUnreachableError):
            # it will not be reached in any other generation
            return None, [_told(answer)]
    told = "; ".join(
        f"{answer.address.base_url} as {answer.address.api}: {_what(answer)}" for answer in tried[: len(ApiGeneration)]
    )
    check = Check(
        name="archive",
        health=Health.FAILED,
        sentence=f"nothing at {doctor.base_url} speaks the NBIA API ({told})",
        next_step="look up the address in the archive's own documentation; it often ends in /nbia-api/services",
        exit_code=SettingsError.exit_code,
    )
    return None, [check]


def _candidates(text: str) -> Iterator[ArchiveAddress]:
    """The address in every generation; then what may be meant by one that is too long or too short.

    Raises:
        SettingsError: it is no address.
    """
    parts = urlsplit(text)
    asked = text.partition("?")[0].rstrip("/")
    base = asked
    while (shorter := _BELOW_BASE.sub("", base)) != base:
        base = shorter
    origin = f"{parts.scheme}://{parts.netloc}"
    for base_url in dict.fromkeys([base, base.partition(_SERVICES)[0] + _SERVICES, origin + _SERVICES]):
        for api in ApiGeneration:
            try:
                yield ArchiveAddress(base_url=base_url, api=api)
            except ValidationError as error:
                raise SettingsError(f"--archive: {explain(error.errors()[0])}") from error


async def _ask(address: ArchiveAddress, settings: Settings) -> _Answer:
    """Ask for the collections, once: a doctor says how things are now."""
    try:
        async with (
            open_archive_queries(address, settings) as queries,
            aclosing(queries.find_rows(Question(topic=Topic.COLLECTIONS))) as rows,
        ):
            return _Answer(address=address, collections=len([row async for row in rows]))
    except TciadError as error:
        return _Answer(address=address, error=error)


def _told(answer: _Answer) -> Check:
    address, error = answer.address, answer.error
    if error is None and answer.collections:
        listed = count_text(answer.collections, "collection")
        signed = " to whoever signs in as you" if address.auth is not None else ""
        return Check(
            name="archive", health=Health.OK, sentence=f"{address.base_url} speaks {address.api}, and lists {listed}{signed}"
        )
    if error is None:
        return Check(
            name="archive",
            health=Health.WARNING,
            sentence=f"{address.base_url} speaks {address.api}, and lists no collection, as it does when its database fails",
            next_step="try again later, and with credentials if you have some",
        )
    if isinstance(error, _WANTS_CREDENTIALS):
        return Check(
            name="credentials",
            health=Health.FAILED,
            sentence=f"{address.base_url} speaks {address.api}, and refuses: {error.what}",
            next_step=_HOW_TO_SIGN_IN[address.api],
            exit_code=CredentialsRejectedError.exit_code,
        )
    return Check(
        name="archive",
        health=Health.FAILED,
        sentence=f"{address.base_url}: {error.what}",
        next_step=error.next_step or "",
        exit_code=error.exit_code,
    )


_TOKENS: Final = "set TCIAD_USERNAME and TCIAD_PASSWORD_FILE, or name them in the manifest's archive.auth"
_HOW_TO_SIGN_IN: Final[Mapping[ApiGeneration, str]] = {
    ApiGeneration.V4: _TOKENS,
    ApiGeneration.V2: _TOKENS,
    ApiGeneration.V1: "v1 takes no credentials: ask the archive for v2 or v4",
    ApiGeneration.BINDAAS: "set TCIAD_API_KEY_FILE, or name the key's file in the manifest's archive.auth.api_key_file",
}


def _what(answer: _Answer) -> str:
    return answer.error.what if answer.error is not None else "no answer"


def _manifest_lines(answer: _Answer) -> str:
    """What to write about the archive."""
    address = answer.address
    if address in PROFILES.values():
        return f"archive: {address.name}"
    said: dict[str, object] = {"base_url": address.base_url, "api": address.api.value}
    if isinstance(answer.error, _WANTS_CREDENTIALS) and address.auth is None:
        wanted: dict[ApiGeneration, dict[str, str]] = {
            ApiGeneration.V2: {"username": "YOUR-NAME", "password_file": "FILE"},
            ApiGeneration.V4: {"username": "YOUR-NAME", "password_file": "FILE"},
            ApiGeneration.BINDAAS: {"api_key_file": "FILE"},
        }
        if address.api in wanted:
            said["auth"] = wanted[address.api]
    elif address.auth is not None:
        said["auth"] = address.auth.model_dump(mode="json", exclude_unset=True)
    text: str = yaml.safe_dump({"archive": said}, sort_keys=False, allow_unicode=True)
    return text.rstrip()


def _disk(options: RunOptions) -> Sequence[Check]:
    """The place of the library. Blocks."""
    place = options.output.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return [
            Check(
                name="disk",
                health=Health.FAILED,
                sentence=f"{place} cannot be written by this user" if place.is_dir() else f"{place} is not a folder",
                next_step="make it writable, or name another library with -o",
                exit_code=EXIT_NO_ROOM,
            )
        ]
    free_bytes = free_bytes_at(options.output)
    enough = free_bytes > options.min_free_bytes
    return [
        Check(
            name="disk",
            health=Health.OK if enough else Health.FAILED,
            sentence=f"{options.output}: {size_text(free_bytes)} free, of which {size_text(options.min_free_bytes)} stay free",
            next_step="" if enough else "free some space, or lower download.min_free_space",
            exit_code=0 if enough else EXIT_NO_ROOM,
        )
    ]


async def _store(options: RunOptions) -> Sequence[Check]:
    """The state store, where the library has one."""
    if not await anyio.Path(state_path(options)).exists():
        return []
    try:
        async with open_records(options.output, options.state) as store:
            tally = await store.tally()
    except StoreError as error:
        return [
            Check(
                name="state store",
                health=Health.FAILED,
                sentence=error.what,
                next_step=error.next_step or "",
                exit_code=error.exit_code,
            )
        ]
    sentence = f"{state_path(options)}: {tally.complete:,} of {tally.selected:,} series complete, {tally.failed:,} failed"
    return [Check(name="state store", health=Health.OK, sentence=sentence)]
