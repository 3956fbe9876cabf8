"""The archive that a flag names."""

from typing import Annotated

import typer
from pydantic import ValidationError

from downloader.errors import SettingsError
from downloader.manifest import PROFILES, ArchiveAddress
from downloader.wording import explain, refuse_choice

ArchiveName = Annotated[str, typer.Option("--archive", metavar="NAME", help="A built-in archive, or a base URL.")]


def address_of(archive: str) -> ArchiveAddress:
    """The archive that --archive names: a profile, or a base URL.

    Raises:
        SettingsError: neither of the two.
    """
    if archive in PROFILES:
        return PROFILES[archive]
    if "://" not in archive:
        raise SettingsError(f"--archive: {refuse_choice(archive, list(PROFILES))}, nor a base URL")
    try:
        return ArchiveAddress(base_url=archive)
    except ValidationError as error:
        raise SettingsError(f"--archive: {explain(error.errors()[0])}") from error
