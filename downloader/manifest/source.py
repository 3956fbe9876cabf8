"""Files as text: encodings, byte order marks and limits, the same for manifests and series lists."""

import codecs
import re
from pathlib import Path
from typing import Final

from downloader.manifest.problems import Problem, SourceError, refuse

_BYTE_ORDER_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

HALF_A_PAIR: Final = "contains half of a surrogate pair, which is not a character"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def is_text(value: str) -> bool:
    """Whether all of it are characters: an escape can write half of a surrogate pair, which nothing can send or store."""
    return _SURROGATE.search(value) is None


def read_text(path: Path, largest_bytes: int) -> str:
    """Read a text file: UTF-8, or whatever its byte order mark says; the mark itself is left out.

    Raises:
        SourceError: no such file, or it cannot be read, or is larger than allowed.
        ManifestError: bytes that are not text, with their line.
    """
    content = _read_bytes(path, largest_bytes)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _decode(path, content.removeprefix(mark), encoding)
    return _decode(path, content, "utf-8")


def _read_bytes(path: Path, largest_bytes: int) -> bytes:
    try:
        if path.is_dir():
            raise SourceError("is a folder, not a file")
        if path.exists() and not path.is_file():
            raise SourceError("is not a regular file")
        with path.open("rb") as file:
            content = file.read(largest_bytes + 1)
    except FileNotFoundError as error:
        raise SourceError("no such file") from error
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SourceError("is not a valid file name") from error
    if len(content) > largest_bytes:
        raise SourceError(f"is larger than {largest_bytes // 1024**2} MiB")
    if content.startswith((b"PK\x03\x04", b"%PDF", b"\x1f\x8b")):
        raise SourceError("is not text; save a workbook as .csv, and unpack an archive file")
    return content


def _decode(path: Path, content: bytes, encoding: str) -> str:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{content[error.start]:02X} is not {encoding.upper()} text; save the file as UTF-8"
        raise refuse(path, [Problem(line, "", what)]) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise refuse(path, [Problem(line, "", "a NUL character; the file is not text, or not in UTF-8")])
    return text
