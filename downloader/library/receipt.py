"""The receipt of a series as a file: `.receipt.json` in the folder of the series."""

import errno
import json
import re
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from downloader.errors import DamagedReceiptError
from downloader.model import LARGEST_FIGURE, Identity, Receipt, is_dicom_uid

RECEIPT_NAME = ".receipt.json"
DOUBTED_NAME = ".receipt.doubted.json"
"""The name of an invalidated receipt, whose images a repair found damaged, until the series has been fetched again."""

_FORMAT: Literal[1] = 1
_LONGEST_NAME_BYTES = 255
_MD5 = re.compile(r"[0-9a-f]{32}")
_UNSAFE_IN_NAME = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document(Receipt):
    """The content of the file: every attribute of the receipt, and the format version."""

    format: Literal[1]


_DOCUMENT: Final = TypeAdapter(_Document)
_ATTRIBUTES: Final = tuple(field.name for field in fields(Receipt))


def encode_receipt(receipt: Receipt) -> bytes:
    """Write the receipt as JSON: keys sorted, times in ISO 8601."""
    document = _Document(format=_FORMAT, **{name: getattr(receipt, name) for name in _ATTRIBUTES})
    tree = _DOCUMENT.dump_python(document)
    # for people who read receipts: the strength follows from the counts, and is not read back
    tree["proof"]["digests"] = receipt.proof.digests
    for image in tree["images"]:
        if image["identity"] is Identity.READ:
            # nearly all images have been read, and a receipt may have thousands of images
            del image["identity"]
    text = json.dumps(tree, default=_iso, sort_keys=True, ensure_ascii=False)
    # a lone surrogate cannot be encoded in UTF-8; such text only comes from a broken catalogue
    return text.encode("utf-8", "replace") + b"\n"


def read_receipt_file(path: str | Path) -> Receipt | None:
    """The receipt in this file; None if there is none. Raises OSError; see local/filesystem.py.

    Raises:
        DamagedReceiptError: it cannot be read from the disk, or is invalid.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - for each series
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise DamagedReceiptError(
            f"the receipt cannot be read: {error.strerror}",
            next_step="check the disk; `tciad verify --repair` sets the series aside and fetches it again",
        ) from error
    return decode_receipt(content)


def decode_receipt(content: bytes) -> Receipt:
    """Read a receipt of this version, or of one that only added attributes.

    Raises:
        DamagedReceiptError: it is not a receipt, or an invalid one.
    """
    try:
        document = _DOCUMENT.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise _damaged(f"{where}: {first['msg']}") from error
    receipt = Receipt(**{name: getattr(document, name) for name in _ATTRIBUTES})
    _check(receipt)
    return receipt


def _check(receipt: Receipt) -> None:
    """A receipt may come from anywhere: its image names must stay in the folder, its figures must be possible."""
    if receipt.completed_at.tzinfo is None:
        raise _damaged("completed_at has no time zone")
    for name in receipt.file_sizes:
        if not is_image_name(name):
            raise _damaged(f"{name!r} is not a valid name of an image")
    if receipt.zip is not None and (receipt.zip.size_bytes < 0 or not _MD5.fullmatch(receipt.zip.md5)):
        raise _damaged("size or MD5 of the ZIP is not valid")
    for image in receipt.images:
        if image.size_bytes < 0 or not _MD5.fullmatch(image.md5):
            raise _damaged(f"size or MD5 of {image.name!r} is not valid")
        if image.sop_class_uid and not is_dicom_uid(image.sop_class_uid):
            raise _damaged(f"the SOP class of {image.name!r} is not a UID")
    if len({image.name for image in receipt.images}) != len(receipt.images):
        raise _damaged("two images have the same name")
    _check_figures(receipt)


def _check_figures(receipt: Receipt) -> None:
    series = receipt.series
    for figure in (series.image_count or 0, series.file_size_bytes or 0, receipt.stored_bytes, receipt.received_bytes):
        if not 0 <= figure <= LARGEST_FIGURE:
            raise _damaged(f"{figure} is not a valid count or size of a series")


def is_image_name(name: str) -> bool:
    """Whether a file of that name can be an image in the folder of a series, and nothing else."""
    return 0 < len(name.encode()) <= _LONGEST_NAME_BYTES and name[0] != "." and not _UNSAFE_IN_NAME.search(name)


def _damaged(why: str) -> DamagedReceiptError:
    return DamagedReceiptError(f"the receipt is not valid: {why}", next_step="remove the folder, and the series is fetched again")


def _iso(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not allowed in a receipt")
