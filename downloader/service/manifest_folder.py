"""The manifests of a folder: which files there are, what they say, and what is wrong with them. Blocks while it reads."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import structlog

from downloader.errors import ManifestError
from downloader.manifest import Manifest, load_manifest

MANIFEST_SUFFIXES: Final = (".yaml", ".yml")
LIST_SUFFIXES: Final = (".tcia", ".csv", ".tsv", ".txt")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """One file. `manifest` is the last good one that was read from it, `problem` what is wrong with the file as it is now."""

    path: Path
    manifest: Manifest | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """How the manifest is called; a file that never was a good one lends its own name."""
        return self.manifest.name if self.manifest else self.path.stem


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderView:
    """What the folder holds, sorted by path; `problem` when it could not be read, and then `files` are those of before."""

    files: tuple[ManifestFile, ...] = ()
    problem: str = ""


@dataclass(slots=True)
class _Digests:
    """Hashes of files, computed again where time, size or inode have changed."""

    _known: dict[Path, tuple[object, str]] = field(default_factory=dict)

    def of(self, paths: Iterable[Path]) -> str:
        return "".join(map(self._of_one, paths))

    def forget(self) -> None:
        self._known.clear()

    def _of_one(self, path: Path) -> str:
        try:
            status = path.stat()
            signature = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._known.get(path)
            if known is None or known[0] != signature:
                known = self._known[path] = (signature, hashlib.sha256(path.read_bytes()).hexdigest())
        except OSError as error:
            # loading the file reports why it cannot be read
            return f"{path}: {error}"
        return known[1]


class ManifestFolder:
    """Reads `folder` again and again, and only what has changed since.

    Manifests are the `.yaml` and `.yml` files. A series list is taken for a manifest where no YAML file of the folder mentions
    its name: else it is a part of that one. Hidden files are left out.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._view = FolderView()
        self._digests = _Digests()
        self._read_as: dict[Path, str] = {}

    def look(self, *, thoroughly: bool = False) -> FolderView:
        """What the folder holds now. `thoroughly` reads every file again, whatever its time says."""
        if thoroughly:
            self._digests.forget()
        try:
            paths = _find_manifests(self._folder)
        except OSError as error:
            problem = f"{self._folder} cannot be read: {error.strerror or error}"
            self._view = replace(self._view, problem=problem)
            return self._view
        known = {file.path: file for file in self._view.files}
        files = [self._read(known.get(path, ManifestFile(path=path))) for path in paths]
        self._view = FolderView(files=_without_namesakes(files, known))
        return self._view

    def _read(self, known: ManifestFile) -> ManifestFile:
        """The file as it is now: read anew when it, or a list that it names, has changed, or when it was wrong before."""
        path = known.path
        if known.manifest and not known.problem and self._read_as.get(path) == self._digests.of([path, *known.manifest.files]):
            return known
        try:
            manifest = load_manifest(path)
        except ManifestError as error:
            return replace(known, problem=str(error))
        self._read_as[path] = self._digests.of([path, *manifest.files])
        return ManifestFile(path=path, manifest=manifest)


def _find_manifests(folder: Path) -> Sequence[Path]:
    """The files that are manifests, sorted. Raises OSError when the folder cannot be read."""
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    manifests = [path for path in visible if path.suffix.lower() in MANIFEST_SUFFIXES]
    lists = [path for path in visible if path.suffix.lower() in LIST_SUFFIXES]
    if not lists:
        return manifests
    # the text decides, since it also says so of a manifest that is broken at the moment
    texts = [_content_of(path) for path in manifests]
    return sorted([*manifests, *(path for path in lists if not any(path.name.encode() in text for text in texts))])


def _content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # loading the file reports why it cannot be read


def _without_namesakes(files: Sequence[ManifestFile], before: Mapping[Path, ManifestFile]) -> tuple[ManifestFile, ...]:
    """Two manifests of one name would take each other's series for withdrawn: the one that came second is not in force."""

    def came_second(file: ManifestFile) -> bool:
        known = before.get(file.path)
        return known is None or known.manifest is None

    owners: dict[str, Path] = {}
    for file in sorted(files, key=came_second):
        if file.manifest:
            owners.setdefault(file.name, file.path)
    return tuple(
        file
        if not file.manifest or owners[file.name] == file.path
        else ManifestFile(
            path=file.path,
            problem=f"{file.path} and {owners[file.name]} are both named {file.name!r}; give one of them another `name`",
        )
        for file in files
    )


def log_changes(before: FolderView, after: FolderView, problems_before: Mapping[Path, str], problems: Mapping[Path, str]) -> None:
    """Log what is new about the manifests."""
    if after.problem and after.problem != before.problem:
        _log.error("manifest folder not readable, active manifests unchanged", message=after.problem)
    known = {file.path: file for file in before.files}
    for file in after.files:
        old = known.pop(file.path, ManifestFile(path=file.path))
        problem = file.problem or problems.get(file.path, "")
        if problem and problem != (old.problem or problems_before.get(file.path, "")):
            _log.error("manifest invalid", file=str(file.path), message=problem, in_force=file.manifest is not None)
        elif file.manifest is not None and not problem and file.manifest != old.manifest:
            _log.info("manifest active", file=str(file.path), manifest=file.name)
    for gone in known.values():
        _log.info("manifest removed", file=str(gone.path), manifest=gone.name)
