"""`.tciad/library.json`: the marker that distinguishes a library from others, and from an empty folder. Blocks."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from pydantic import TypeAdapter, ValidationError

from downloader.errors import LibraryError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.receipt import RECEIPT_NAME
from downloader.library.state.config import CONFIG_NAME
from downloader.own_folder import OWN_FOLDER, open_own_folder, read_own_file

IDENTITY_NAME: Final = "library.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryIdentity:
    """The id of the library, and the time of this marker. A moved or copied library keeps its id."""

    id: UUID
    created_at: datetime


_IDENTITY: Final = TypeAdapter(LibraryIdentity)


def read_identity(root: Path) -> str:
    """The id of the library; empty if it has none, or if there is no library.

    Raises:
        LibraryError: the marker is unreadable or invalid.
    """
    with FileSystemErrors(root, place=f"{OWN_FOLDER}/{IDENTITY_NAME}"):
        content = read_own_file(root, IDENTITY_NAME)
    if content is None:
        return ""
    try:
        return str(_IDENTITY.validate_json(content).id)
    except ValidationError as error:
        raise LibraryError(
            f"{root / OWN_FOLDER / IDENTITY_NAME} does not contain the identifier of this library",
            next_step="restore it from a backup, or remove it and run `tciad store rebuild`",
        ) from error


def make_identity(root: Path, at: datetime) -> str:
    """Give a library without a marker a new id, and return it; durable when this returns. The caller holds the lock.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    identity = LibraryIdentity(id=uuid4(), created_at=at)
    content = json.dumps(_IDENTITY.dump_python(identity, mode="json"))
    with FileSystemErrors(root, place=f"{OWN_FOLDER}/{IDENTITY_NAME}"), open_own_folder(root, make=True) as own:
        own.write(IDENTITY_NAME, f"{content}\n".encode())
    return str(identity.id)


def is_library(root: Path) -> bool:
    """Whether the folder was ever a library: it has a marker, files of an older tciad, or the receipt of a series.

    Raises:
        LibraryError: it cannot be read.
    """
    with FileSystemErrors(root):
        if any(read_own_file(root, name) is not None for name in (IDENTITY_NAME, CONFIG_NAME)):
            return True
        for folder, below, names in os.walk(root):
            if Path(folder) == root and OWN_FOLDER in below:
                below.remove(OWN_FOLDER)
            if RECEIPT_NAME in names:
                return True
    return False
