"""`.tciad/form.json`: how a library is laid out, so that whoever comes next need not be told."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from downloader.config.options import DEFAULT_FORMAT, DEFAULT_LAYOUT, StorageFormat
from downloader.errors import LibraryError
from downloader.library.local.errors import LibraryFaults
from downloader.own_folder import OWN_FOLDER, open_own_folder, read_own_file

FORM_NAME: Final = "form.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryForm:
    """The layout of the library, and whether new series are kept as images or as ZIPs.

    `is_moving`: a move to this layout has begun, and not every series is in its new place yet.
    """

    layout: str = DEFAULT_LAYOUT
    format: StorageFormat = DEFAULT_FORMAT
    is_moving: bool = False


_FORM: Final = TypeAdapter(LibraryForm)


def read_form(root: Path) -> LibraryForm | None:
    """The form of the library; None where nobody has told it yet.

    Raises:
        LibraryError: the file is no form.
    """
    try:
        with LibraryFaults(root, place=f"{OWN_FOLDER}/{FORM_NAME}"):
            content = read_own_file(root, FORM_NAME)
        return None if content is None else _FORM.validate_json(content)
    except ValidationError as error:
        raise LibraryError(
            f"{root / OWN_FOLDER / FORM_NAME} does not tell how the library is laid out",
            next_step="remove it, and name the layout with --layout in the next run",
        ) from error


def write_form(root: Path, form: LibraryForm) -> None:
    """Tell the form of the library from now on; durable when this returns. The library is locked.

    Raises:
        LibraryError, NoSpaceError: it cannot be written.
    """
    with LibraryFaults(root, place=f"{OWN_FOLDER}/{FORM_NAME}"), open_own_folder(root) as own:
        own.write(FORM_NAME, f"{json.dumps(asdict(form))}\n".encode())


def settle_form(root: Path, layout: str | None, storage: StorageFormat | None, *, holds_series: bool) -> LibraryForm:
    """The form of a library that is about to be filled, where `layout` and `storage` are what the run says of it, if anything.

    The layout of a library that holds series is changed by moving them, and by nothing else. The library is locked.
    """
    known = read_form(root)
    form = known or LibraryForm(layout=layout or DEFAULT_LAYOUT)
    if not holds_series:
        form = replace(form, layout=layout or form.layout, is_moving=False)
    form = replace(form, format=storage or form.format)
    if form != known:
        write_form(root, form)
    return form
