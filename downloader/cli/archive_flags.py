"""The archive that `--archive`, `--api` and `--manifest` name together."""

from pathlib import Path

from downloader.errors import SettingsError
from downloader.manifest import ArchiveAddress, load_manifest, named_address


def address_of(archive: str | None, api: str | None, manifest: Path | None) -> ArchiveAddress:
    """The archive that these flags name; without any of them, TCIA.

    Raises:
        SettingsError: the flags contradict each other, or the archive is not known.
        ManifestError: the manifest is wrong.
    """
    if manifest is None:
        return named_address("tcia" if archive is None else archive, api, "--archive")
    if archive is not None or api is not None:
        raise SettingsError("--manifest contradicts --archive and --api", next_step="leave out --archive and --api")
    return load_manifest(manifest).archive
