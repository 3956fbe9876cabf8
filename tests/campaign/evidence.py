"""Reads a library and its store without any code of tciad."""

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

OWN: Final = ".tciad"
RECEIPT: Final = ".receipt.json"
_TEXTS_OF_ZIPS: Final = frozenset({"LICENSE", "md5hashes.csv"})
_STORE_QUERY: Final = "SELECT series_instance_uid, state, folder FROM series"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A folder with images.

    `digests` are the MD5s of all images in it, in files or in a ZIP; `receipt_uid` is the series in its receipt, empty if there
    is no readable one. `keeps_word` tells that every image in the receipt exists with its size and MD5.
    """

    folder: PurePosixPath
    digests: frozenset[str]
    receipt_uid: str = ""
    promised: frozenset[str] = frozenset()
    keeps_word: bool = False
    digests_proven: bool = False

    @property
    def is_in_place(self) -> bool:
        """Whether the folder is in the tree, outside of `.tciad`."""
        return self.folder.parts[:1] != (OWN,)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """The store's row of a series."""

    state: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A library and its store at one time."""

    copies: tuple[Copy, ...]
    rows: Mapping[str, StoredRow]
    staged: tuple[str, ...]

    def of(self, series_instance_uid: str) -> Sequence[Copy]:
        """The folders in the tree whose receipt names the series."""
        return [copy for copy in self.copies if copy.is_in_place and copy.receipt_uid == series_instance_uid]

    def at(self, folder: str) -> Copy | None:
        """The content of a folder, or None."""
        return next((copy for copy in self.copies if str(copy.folder) == folder), None)

    def complete(self) -> Mapping[str, StoredRow]:
        """The complete series of the store."""
        return {uid: row for uid, row in self.rows.items() if row.state == "complete"}


def look(library: Path, store: Path) -> Evidence:
    """Read library and store. The command must have ended."""
    copies = []
    for folder, _, names in os.walk(library):
        copy = _copy_in(Path(folder), library, names)
        if copy is not None:
            copies.append(copy)
    staging = library / OWN / "staging"
    staged = sorted(path.name for path in staging.iterdir()) if staging.is_dir() else []
    return Evidence(copies=tuple(copies), rows=read_store(store), staged=tuple(staged))


def _copy_in(folder: Path, library: Path, names: Sequence[str]) -> Copy | None:
    contents = {name: (folder / name).read_bytes() for name in names if not name.startswith(".")}
    images: dict[str, bytes] = {}
    for name, content in contents.items():
        if name.endswith(".zip"):
            images |= _members(folder / name)
        elif name != "LICENSE" and not name.endswith((".json", ".csv", ".txt")):
            images[name] = content
    if not images and RECEIPT not in names:
        return None
    digests = {name: _md5(content) for name, content in images.items()}
    copy = Copy(folder=PurePosixPath(folder.relative_to(library).as_posix()), digests=frozenset(digests.values()))
    return _with_receipt(copy, folder / RECEIPT, {name: (len(images[name]), md5) for name, md5 in digests.items()})


def _with_receipt(copy: Copy, receipt: Path, images: Mapping[str, tuple[int, str]]) -> Copy:
    try:
        document = json.loads(receipt.read_bytes())
        promised = {image["name"]: (image["size_bytes"], image["md5"]) for image in document["images"]}
        return Copy(
            folder=copy.folder,
            digests=copy.digests,
            receipt_uid=document["series"]["series_instance_uid"],
            promised=frozenset(md5 for _, md5 in promised.values()),
            keeps_word=bool(promised) and all(images.get(name) == figures for name, figures in promised.items()),
            digests_proven=document["proof"]["md5_images"] == len(promised),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return copy


def _members(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as opened:
            return {name: opened.read(name) for name in opened.namelist() if name not in _TEXTS_OF_ZIPS}
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return {}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def read_store(store: Path) -> Mapping[str, StoredRow]:
    """All series of a store, read from a copy so that the store is not changed; none if it cannot be read."""
    with tempfile.TemporaryDirectory() as folder:
        copies = [shutil.copy2(path, folder) for path in store.parent.glob(f"{store.name}*") if _is_part(path, store)]
        if not copies:
            return {}
        try:
            with closing(sqlite3.connect(Path(folder) / store.name)) as connection:
                return {
                    str(uid): StoredRow(state=str(state), folder=str(place or ""))
                    for uid, state, place in connection.execute(_STORE_QUERY)
                }
        except sqlite3.DatabaseError:
            return {}


def _is_part(path: Path, store: Path) -> bool:
    return path.name in {store.name, f"{store.name}-wal", f"{store.name}-shm"}


def find_text(roots: Sequence[Path], secrets: Sequence[bytes]) -> list[str]:
    """The files that contain one of these secrets."""
    found = []
    for root in roots:
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                found += [str(path.relative_to(root)) for secret in secrets if secret in content]
    return found
