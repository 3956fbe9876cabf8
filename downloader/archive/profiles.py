"""From what a manifest says of an archive to the client that speaks to it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from downloader.archive.authentication import Authentication, Guest
from downloader.archive.endpoints import Generation
from downloader.archive.nbia import NbiaArchive
from downloader.archive.nbia_v1 import NBIA_V1
from downloader.archive.nbia_v4 import NBIA_V4
from downloader.archive.port import Archive
from downloader.clock import Clock
from downloader.errors import SettingsError
from downloader.transport import Transport

GENERATIONS: Final[Mapping[str, Generation]] = MappingProxyType({table.name: table for table in (NBIA_V4, NBIA_V1)})


def open_archive(
    name: str,
    base_url: str,
    *,
    api: str,
    transport: Transport,
    clock: Clock,
    authentication: Authentication | None = None,
) -> Archive:
    """The client for one archive. Nothing is asked of it yet.

    Args:
        name: how the archive is called in logs and receipts.
        base_url: its address up to and without the version, such as https://host/nbia-api/services.
        api: the generation, one of GENERATIONS.
        transport: what carries the requests.
        clock: for Retry-After.
        authentication: who asks; a guest if not given.

    Raises:
        SettingsError: a generation that no client speaks.
    """
    generation = GENERATIONS.get(api)
    if generation is None:
        raise SettingsError(f"no client speaks api: {api}", next_step=f"use one of {', '.join(GENERATIONS)}")
    return NbiaArchive(
        name,
        base_url,
        generation=generation,
        transport=transport,
        clock=clock,
        authentication=authentication or Guest(),
    )
