"""The remains of earlier runs in staging. Implements StagedLeftovers."""

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from downloader.library.local.changes import TreeChanges
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.journal import JOURNAL_SUFFIX, read_series
from downloader.library.local.staging_names import leave_all, names_of_live, staging_name
from downloader.library.local.threads import LibraryThreads
from downloader.library.local.tree import SeriesTree, has_files
from downloader.library.model import SeriesLocation, StagedFolder
from downloader.model import Series
from downloader.own_folder import OWN_FOLDER, open_own_folder


class LocalLeftovers:
    """Searches the staging folder of the library at `root`."""

    def __init__(self, root: Path, tree: SeriesTree, changes: TreeChanges, threads: LibraryThreads) -> None:
        self._root = root
        self._staging = root / OWN_FOLDER / "staging"
        self._tree = tree
        self._changes = changes
        self._threads = threads
        self._errors = FileSystemErrors(root)

    async def staged_series(self) -> Sequence[Series]:
        """See the port."""
        with self._errors:
            return await self._threads.run(self._staged_series)

    async def leave_to_next(self, live_claims: Collection[str] = ()) -> None:
        """See the port."""
        with self._errors:
            await self._threads.run(leave_all, self._staging, live_claims)

    async def whole_staged(self, keep: Collection[str] = (), live_claims: Collection[str] = ()) -> Sequence[StagedFolder]:
        """See the port."""
        with self._errors:
            return await self._threads.run(self._whole_staged, keep, live_claims)

    async def put_back(self, staged: StagedFolder) -> SeriesLocation:
        """See the port."""
        uid = staged.receipt.series.series_instance_uid
        with FileSystemErrors(self._root, place=str(staged.folder), series_instance_uid=uid):
            return await self._threads.run(self._tree.put, self._root / staged.folder, staged.receipt, None)

    async def clear_staging(self, keep: Collection[str] = (), live_claims: Collection[str] = ()) -> int:
        """See the port."""
        with self._errors:
            return await self._threads.run(self._clear_staging, keep, live_claims)

    def _staged_series(self) -> Sequence[Series]:
        paths = (path for path in self._staging.glob(f"*{JOURNAL_SUFFIX}") if path.is_file() and not path.is_symlink())
        return [series for series in map(read_series, paths) if series is not None]

    def _whole_staged(self, keep: Collection[str], live_claims: Collection[str]) -> Sequence[StagedFolder]:
        kept = self._kept_names(keep, live_claims)
        found = []
        for path in self._staging.iterdir():
            folder = PurePosixPath(path.relative_to(self._root))
            receipt = None if path.name in kept or path.is_symlink() else self._tree.read_receipt(folder)
            if receipt is not None and has_files(path, receipt):
                found.append(StagedFolder(folder=folder, receipt=receipt))
        return found

    def _clear_staging(self, keep: Collection[str], live_claims: Collection[str]) -> int:
        kept = self._kept_names(keep, live_claims)
        with open_own_folder(self._root) as own, own.folder("staging") as staging:
            return sum(staging.remove_tree(leftover) for leftover in staging.names() if leftover not in kept)

    def _kept_names(self, series_instance_uids: Collection[str], live_claims: Collection[str]) -> set[str]:
        """The names of the folders of these series, of live claims, and of unfinished changes."""
        kept = {staging_name(series_instance_uid) for series_instance_uid in series_instance_uids}
        kept |= {f"{name}{JOURNAL_SUFFIX}" for name in kept}
        kept |= names_of_live(self._staging, live_claims)
        for record in self._changes.unfinished():
            places = (self._root / place for change in record.changes for place in change.places)
            kept |= {place.name for place in places if place.parent == self._staging}
        return kept
