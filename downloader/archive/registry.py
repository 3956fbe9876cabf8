"""Creates the client for an archive of a manifest."""

from typing import Final
from urllib.parse import urlsplit

import structlog

from downloader.archive.nbia.authentication import Authentication, Guest
from downloader.archive.nbia.bindaas import BINDAAS
from downloader.archive.nbia.client import NbiaArchive
from downloader.archive.nbia.deployments import REFUSALS_NEEDED, Deployments
from downloader.archive.nbia.endpoints import Generation
from downloader.archive.nbia.generations import GENERATIONS
from downloader.archive.nbia.queries import NbiaQueries
from downloader.archive.nbia.requests import Asker
from downloader.archive.port import NO_STUDY_NEEDS, Source, StudyNeeds
from downloader.archive.question import ArchiveQueries
from downloader.clock import Clock
from downloader.errors import SettingsError
from downloader.transport.client import Transport

__all__ = ["GENERATIONS", "open_archive", "open_queries"]

_TCIA: Final = ".cancerimagingarchive.net"
_log = structlog.get_logger(__name__)


def open_archive(
    name: str,
    base_url: str,
    *,
    api: str,
    transport: Transport,
    clock: Clock,
    authentication: Authentication | None = None,
    deployments: Deployments | None = None,
    needs: StudyNeeds = NO_STUDY_NEEDS,
    attempts: int = REFUSALS_NEEDED,
) -> Source:
    """The client for one archive. Sends no request yet.

    Args:
        name: the archive's name in logs and receipts.
        base_url: its address up to and without the version, such as https://host/nbia-api/services.
        api: the generation, one of GENERATIONS.
        transport: sends the requests.
        clock: for Retry-After.
        authentication: the credentials; none by default.
        deployments: the knowledge about the deployment, which is extended; empty by default.
        needs: the study attributes that rows must have although getSeries may lack them: costs an extra query.
        attempts: the attempts per series: with fewer, fewer refusals show that there are no MD5 lists.

    Raises:
        SettingsError: there is no client for the generation.
    """
    generation = _find_generation(api)
    _warn_of_stale(generation, base_url)
    asker = Asker(base_url, transport=transport, clock=clock, authentication=authentication or Guest())
    evidence = (deployments or Deployments()).evidence(base_url, api, clock)
    return NbiaArchive(name, generation=generation, asker=asker, evidence=evidence, needs=needs, attempts=attempts)


def open_queries(
    name: str,
    base_url: str,
    *,
    api: str,
    transport: Transport,
    clock: Clock,
    authentication: Authentication | None = None,
) -> ArchiveQueries:
    """The queries of one archive; arguments and errors are those of `open_archive`."""
    generation = _find_generation(api)
    _warn_of_stale(generation, base_url)
    asker = Asker(base_url, transport=transport, clock=clock, authentication=authentication or Guest())
    return NbiaQueries(name, generation=generation, asker=asker)


def _find_generation(api: str) -> Generation:
    """The table of a generation.

    Raises:
        SettingsError: there is none of that name.
    """
    generation = GENERATIONS.get(api)
    if generation is None:
        raise SettingsError(f"unknown api: {api}", next_step=f"use one of {', '.join(GENERATIONS)}")
    return generation


def _warn_of_stale(generation: Generation, base_url: str) -> None:
    """Warn about TCIA's 2013 API, which may still reply, with the collections of years ago (docs/archives.md#api-history)."""
    if generation is BINDAAS and (urlsplit(base_url).hostname or "").endswith(_TCIA):
        _log.warning(
            "outdated API",
            message="the 2013 API of The Cancer Imaging Archive has been shut down, and its catalogue is years old",
            base_url=base_url,
            next_step="use archive: tcia",
        )
