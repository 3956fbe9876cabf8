"""The series of a library, and their verification."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio.to_thread

from downloader.api.blocking import wait_for
from downloader.api.keywords import ManifestLike, manifest_from, prepare
from downloader.clock import SystemClock
from downloader.config.settings import resolve_options
from downloader.engine.holding import open_records
from downloader.engine.maintenance import open_verification
from downloader.engine.mirror import decide_options
from downloader.errors import SettingsError
from downloader.maintenance.verification import FindingListeners
from downloader.results.findings import Finding
from downloader.ui.library_series import LibrarySeries, flatten
from downloader.ui.maintenance import render_verification
from downloader.ui.notebook import open_python_count, open_python_progress


async def library_series_async(
    library: str | Path, *, manifest: str | None = None, state: str | Path | None = None
) -> tuple[LibrarySeries, ...]:
    """Every series of the library with its state; one row each, which data frames accept as they are.

    Args:
        library: the folder.
        manifest: name of a manifest, for only the series that it selects.
        state: the state store, if it is not in the library.

    Raises:
        SettingsError: the library has no such manifest.
        StoreError: there is no library, or its store cannot be read.
    """
    flags, settings = prepare({"output": library, "state": state})
    options = resolve_options(flags, settings, {})
    async with open_records(options.output, options.state) as store:
        known = await store.manifests()
        if manifest is not None and manifest not in known:
            raise SettingsError(f"manifest: the library has no manifest {manifest!r}; it has {', '.join(known) or 'none yet'}")
        return tuple([flatten(row) async for row in store.find(manifest)])


def library_series(
    library: str | Path, *, manifest: str | None = None, state: str | Path | None = None
) -> tuple[LibrarySeries, ...]:
    """The same as `library_series_async`, for synchronous code."""
    return wait_for(partial(library_series_async, library, manifest=manifest, state=state))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a verification found. `outcome` is sound, mended where a repair left nothing, or unsound."""

    outcome: str
    series: int
    images: int
    stored_bytes: int
    findings: tuple[Finding, ...]
    text: str

    @property
    def is_sound(self) -> bool:
        """Whether the library is sound, or was repaired."""
        return self.outcome != "unsound"

    def __str__(self) -> str:
        return self.text


async def verify_async(
    library: str | Path,
    *,
    manifests: Sequence[ManifestLike] = (),
    state: str | Path | None = None,
    deep: bool = False,
    upstream: bool = False,
    repair: bool = False,
    progress: bool = True,
) -> Verification:
    """Prove a library against its receipts and its store.

    Args:
        library: the folder.
        manifests: name the archives that are not built in, for `upstream` and `repair`.
        state: the state store, if it is not in the library.
        deep: read every image, and compare its MD5.
        upstream: compare with the archive's own digests; downloads nothing.
        repair: keep good copies, fetch damaged series again, and move what is wrong into quarantine.
        progress: whether to show progress.

    Raises:
        StoreError: there is no library, its store cannot be read, or another process has locked it and `repair` is set.
        LibraryError: it cannot be read.
        ArchiveError: an archive is out of reach, or refuses the credentials.
    """
    flags, settings = prepare({"output": library, "state": state})
    wanted = [await anyio.to_thread.run_sync(manifest_from, one) for one in manifests]
    decided = [decide_options(flags, settings, manifest) for manifest in wanted]
    options = decided[0] if decided else resolve_options(flags, settings, {})
    options = replace(options, secrets={name: secrets for one in decided for name, secrets in one.secrets.items()})
    archives = [address for manifest in wanted for address in manifest.archives]
    findings: list[Finding] = []
    clock = SystemClock()
    async with open_verification(options, archives, deep=deep, upstream=upstream, repair=repair) as verifier:
        with open_python_count(clock, silent=not progress) as count:
            report = await verifier.verify(count, FindingListeners(finding=findings.append))
        with open_python_progress(clock, silent=not progress) as view:
            report = await verifier.fetch(report, view)
    return Verification(
        outcome=report.outcome,
        series=report.tally.series,
        images=report.tally.images,
        stored_bytes=report.tally.stored_bytes,
        findings=tuple(findings),
        text=render_verification(report),
    )


def verify(
    library: str | Path,
    *,
    manifests: Sequence[ManifestLike] = (),
    state: str | Path | None = None,
    deep: bool = False,
    upstream: bool = False,
    repair: bool = False,
    progress: bool = True,
) -> Verification:
    """The same as `verify_async`, for synchronous code."""
    return wait_for(
        partial(
            verify_async,
            library,
            manifests=manifests,
            state=state,
            deep=deep,
            upstream=upstream,
            repair=repair,
            progress=progress,
        )
    )
