"""Checks everything that a run needs, and reports what is wrong.

`places.py` checks the library, its store and the disk, `archives.py` archives, credentials and proxies. Each check gives a
finding with the next step. No check changes anything.

A run can still fail after all checks passed: an archive gets one small query, and no request for images.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.request import getproxies_environment

import anyio.to_thread

from downloader.config.options import RunOptions
from downloader.config.settings import Settings
from downloader.doctor.archives import Diagnosis, examine_address, examine_archive
from downloader.doctor.places import check_disk, check_store
from downloader.errors import SettingsError
from downloader.manifest import ArchiveAddress
from downloader.results.doctor import Check, DoctorReport, Health
from downloader.transport.proxies import parse_proxy

_SCHEMES: Final = ("http", "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """What to check. `base_url` is an address whose API is to be determined; `address` is an archive whose API is known."""

    base_url: str
    address: ArchiveAddress | None
    settings: Settings
    options: RunOptions


async def examine(doctor: Doctor) -> DoctorReport:
    """Check network, archive, credentials, disk and state store. Changes nothing.

    Raises:
        SettingsError: `base_url` is not an address.
    """
    checks = list(_environment())
    diagnosis = await _examine_archive(doctor)
    checks += diagnosis.checks
    checks += await anyio.to_thread.run_sync(check_disk, doctor.options)
    checks += await check_store(doctor.options)
    return DoctorReport(checks=tuple(checks), manifest=diagnosis.manifest)


async def _examine_archive(doctor: Doctor) -> Diagnosis:
    if doctor.address is not None:
        return await examine_archive(doctor.address, doctor.settings)
    return await examine_address(doctor.base_url, doctor.settings)


def _environment() -> Iterator[Check]:
    for scheme, address in sorted(getproxies_environment().items()):
        if scheme in _SCHEMES:
            yield _check_proxy(scheme, address)
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates and not Path(certificates).is_file():
        yield Check(
            name="certificates",
            health=Health.FAILED,
            sentence=f"SSL_CERT_FILE names {certificates}, which does not exist",
            next_step="correct it, or unset it",
            exit_code=SettingsError.exit_code,
        )


def _check_proxy(scheme: str, address: str) -> Check:
    try:
        proxy, _ = parse_proxy(scheme, address)
    except SettingsError as error:
        return Check(
            name="proxy",
            health=Health.FAILED,
            sentence=error.what,
            next_step=error.next_step or "",
            exit_code=error.exit_code,
        )
    return Check(name="proxy", health=Health.OK, sentence=f"the environment sets {proxy.host} as the proxy for {scheme}")
