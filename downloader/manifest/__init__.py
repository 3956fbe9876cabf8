"""What the user wants: manifests and series lists.

manifest = load_manifest(Path("lung-ct.yaml"))      # or cart.tcia, list.csv, list.txt; raises ManifestError only
manifest.archive.base_url, manifest.archive.api
for selection in manifest.select:
    selection.series_instance_uids                  # the series it lists, or ()
    selection.exact("collection")                   # values to ask the archive for, or None
manifest.wants(series)                              # the final word on each row of the catalogue
"""

from downloader.manifest.archives import (
    PROFILES,
    SANDBOX_PORT,
    SANDBOX_PROFILE,
    ApiGeneration,
    ArchiveAddress,
    Auth,
    KeyPlace,
    named_address,
)
from downloader.manifest.coverage import Coverage, explain_nothing
from downloader.manifest.document import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, CountRange, DayRange, Schedule
from downloader.manifest.identifiers import check_uid
from downloader.manifest.loading import Manifest, load_manifest, read_archive, read_manifest
from downloader.manifest.schema import manifest_schema
from downloader.manifest.selection import TEXT_KEYS, Selection
from downloader.manifest.series_list import SeriesList, load_series_list
from downloader.model import WithdrawnPolicy

__all__ = [
    "FIRST_RETRY_SECONDS",
    "LONGEST_RETRY_SECONDS",
    "PROFILES",
    "SANDBOX_PORT",
    "SANDBOX_PROFILE",
    "TEXT_KEYS",
    "ApiGeneration",
    "ArchiveAddress",
    "Auth",
    "CountRange",
    "Coverage",
    "DayRange",
    "KeyPlace",
    "Manifest",
    "Schedule",
    "Selection",
    "SeriesList",
    "WithdrawnPolicy",
    "check_uid",
    "explain_nothing",
    "load_manifest",
    "load_series_list",
    "manifest_schema",
    "named_address",
    "read_archive",
    "read_manifest",
]
