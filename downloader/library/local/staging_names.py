"""The names in staging: of the series, and during an attempt also of its claim.

Two claims of one series never share a folder: a worker that lost its claim without knowing it writes into its own folder. The
result of an attempt is renamed to the series alone for the next one, which is also the name of older versions. Raises OSError;
see filesystem.py.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from downloader.library.local.filesystem import remove_folder
from downloader.library.local.journal import JOURNAL_SUFFIX, journal_path
from downloader.library.names import safe_name

CLAIM_MARK: Final = "@"
"""Separates series and claim. No UID contains it."""


def staging_name(series_instance_uid: str, claim_id: str = "") -> str:
    """The name of the folder and of its journal. Without a claim, the name of the result that is left for the next attempt."""
    name = safe_name(series_instance_uid)
    return f"{name}{CLAIM_MARK}{claim_id}" if claim_id else name


def take_over(left: Path, folder: Path) -> None:
    """Rename the result at `left`, with its journal, to the claim's `folder`."""
    if left != folder and os.path.lexists(journal_path(left)):
        _rename_if_there(left, folder)
        _rename_if_there(journal_path(left), journal_path(folder))


def leave(folder: Path, left: Path) -> None:
    """Leave `folder`, with its journal, to the next attempt. An earlier result of another attempt is removed."""
    if left == folder:
        return
    remove_folder(left)
    _rename_if_there(folder, left)
    _rename_if_there(journal_path(folder), journal_path(left))


def leave_all(staging: Path, live_claims: Collection[str]) -> None:
    """Leave the results of ended claims to the next attempt. An existing result stays as it is.

    Folder and journal of a claim stay together, and claims that have both come first. A claim has one of them only if it was
    killed before it noted an image, or between the two renames of `take_over` or `leave`.
    """
    found = {path.name for path in staging.iterdir()}
    dead = {name.removesuffix(JOURNAL_SUFFIX) for name in found if _claim_of(name) not in {"", *live_claims}}
    for name in sorted(dead, key=lambda name: (not {name, f"{name}{JOURNAL_SUFFIX}"} <= found, name)):
        left = name.partition(CLAIM_MARK)[0]
        parts = [suffix for suffix in ("", JOURNAL_SUFFIX) if f"{name}{suffix}" in found]
        if not any(os.path.lexists(staging / f"{left}{suffix}") for suffix in parts):
            for suffix in parts:
                (staging / f"{name}{suffix}").rename(staging / f"{left}{suffix}")


def names_of_live(staging: Path, live_claims: Collection[str]) -> set[str]:
    """The names in use by attempts now."""
    return {path.name for path in staging.iterdir() if _claim_of(path.name) in live_claims}


def _claim_of(name: str) -> str:
    return name.removesuffix(JOURNAL_SUFFIX).partition(CLAIM_MARK)[2]


def _rename_if_there(old: Path, new: Path) -> None:
    try:
        old.rename(new)
    except FileNotFoundError:
        return
