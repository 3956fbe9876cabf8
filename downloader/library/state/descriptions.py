"""`.tciad/descriptions.json`: the archives' descriptions of collections, so that not every run requests them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.model import StoredDescription
from downloader.own_folder import OWN_FOLDER, open_own_folder, read_own_file

DESCRIPTIONS_NAME: Final = "descriptions.json"
_KEPT: Final = TypeAdapter(tuple[StoredDescription, ...])
_log = structlog.get_logger(__name__)


def read_descriptions(root: Path) -> Sequence[StoredDescription]:
    """The stored descriptions; empty if the file is unreadable, because they can be requested again. Blocks.

    Raises:
        LibraryError: the disk fails.
    """
    with FileSystemErrors(root, place=f"{OWN_FOLDER}/{DESCRIPTIONS_NAME}"):
        content = read_own_file(root, DESCRIPTIONS_NAME)
    try:
        return () if content is None else _KEPT.validate_json(content)
    except ValidationError:
        _log.warning(
            "collection descriptions not readable, requested again",
            file=str(root / OWN_FOLDER / DESCRIPTIONS_NAME),
        )
        return ()


def write_descriptions(root: Path, kept: Sequence[StoredDescription]) -> None:
    """Store these descriptions, and no others. Blocks. The caller holds the library's lock.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    document = _KEPT.dump_python(tuple(kept), mode="json")
    content = f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode("utf-8", errors="replace")
    with FileSystemErrors(root, place=f"{OWN_FOLDER}/{DESCRIPTIONS_NAME}"), open_own_folder(root) as own:
        own.write(DESCRIPTIONS_NAME, content)
