"""`.tciad/form.json`: the config of a library, so that the next run needs no flags for it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from downloader.errors import LibraryError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.model import LibraryConfig
from downloader.own_folder import OWN_FOLDER, open_own_folder, read_own_file

CONFIG_NAME: Final = "form.json"


_CONFIG: Final = TypeAdapter(LibraryConfig)


def read_config(root: Path) -> LibraryConfig | None:
    """The config of the library; None if it was not set yet.

    Raises:
        LibraryError: the file is invalid.
    """
    try:
        with FileSystemErrors(root, place=f"{OWN_FOLDER}/{CONFIG_NAME}"):
            content = read_own_file(root, CONFIG_NAME)
        return None if content is None else _CONFIG.validate_json(content)
    except ValidationError as error:
        raise LibraryError(
            f"{root / OWN_FOLDER / CONFIG_NAME} does not contain the layout of the library",
            next_step="remove it, and set the layout with --layout in the next run",
        ) from error


def write_config(root: Path, config: LibraryConfig) -> None:
    """Set the config of the library; durable when this returns. The caller holds the library's lock.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    with FileSystemErrors(root, place=f"{OWN_FOLDER}/{CONFIG_NAME}"), open_own_folder(root) as own:
        own.write(CONFIG_NAME, f"{json.dumps(asdict(config))}\n".encode())
