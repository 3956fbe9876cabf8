"""The arguments of the API, and how they are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from downloader.config.options import OptionValues
from downloader.config.settings import Settings, load_settings, parse_flags
from downloader.manifest import Manifest, load_manifest, read_manifest
from downloader.ui.log import configure_unless_configured

ManifestLike = str | Path | Mapping[str, object]
"""The path of a manifest or series list, or the content of a manifest as plain data."""


class RunKeywords(TypedDict, total=False):
    """The options of a run, as the flags of `tciad run` have them: sizes, rates and durations as text such as `40MB/s`."""

    state: str | Path
    layout: str
    format: str
    concurrency: int
    attempts: int
    bandwidth: str
    order: str
    md5: str
    max_shrink: str
    min_free_space: str
    deadline: str


def prepare(keywords: Mapping[str, object]) -> tuple[OptionValues, Settings]:
    """Options from keywords, and the environment. Sets up the log only if the process has none.

    Raises:
        SettingsError: an invalid value in the keywords or in a `TCIAD_` variable.
    """
    configure_unless_configured("auto", "error")
    return parse_flags(keywords, named="{}"), load_settings()


def manifest_from(given: ManifestLike) -> Manifest:
    """Read the manifest. Blocks: call it in a worker thread.

    Raises:
        ManifestError: the manifest is wrong.
    """
    return read_manifest(given) if isinstance(given, Mapping) else load_manifest(Path(given))
