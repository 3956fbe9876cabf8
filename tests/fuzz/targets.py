"""What is fed, and what may come of it."""

import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from downloader.archive.nbia.decoding import (
    Oddities,
    SeriesReader,
    read_collection,
    read_series_size,
    read_sop_instance_uid,
    read_study,
)
from downloader.archive.nbia.json_rows import RowReader
from downloader.dicomstream import DicomScanner
from downloader.errors import ManifestError, TciadError, TransferError
from downloader.manifest import load_manifest
from tests.zipstream.making import MEMBERS, read_members, standard_zip

CHUNK_BYTES: Final = 97
_SOUND_ZIP: Final = standard_zip(MEMBERS)
_SUFFIXES: Final = ("yaml", "tcia", "csv", "tsv", "txt")


def read_zip(data: bytes) -> None:
    """A body as it is, and a sound one whose end is replaced."""
    for body in (data, _SOUND_ZIP[: len(data) % 200] + data):
        with suppress(TransferError):
            read_members(body, CHUNK_BYTES)


def read_dicom(data: bytes) -> None:
    """A member that should be an image."""
    scanner = DicomScanner()
    with suppress(TransferError):
        for start in range(0, len(data), CHUNK_BYTES):
            scanner.feed(data[start : start + CHUNK_BYTES])
        scanner.finish()


def read_catalogue(data: bytes) -> None:
    """A reply of getSeries; a value in a row of it; rows of the smaller replies."""
    for body in (data, b'[{"SeriesInstanceUID": "1.2.3", "ImageCount": ' + data + b"}]"):
        reader = SeriesReader("getSeries")
        with suppress(TciadError):
            for start in range(0, len(body), CHUNK_BYTES):
                list(reader.feed(body[start : start + CHUNK_BYTES]))
            reader.finish()
    for read in (read_series_size, read_collection, read_sop_instance_uid, partial(read_study, oddities=Oddities())):
        rows = RowReader("getSeriesSize")
        with suppress(TciadError):
            for row in rows.feed(data):
                read(row)
            rows.finish()


def read_manifest(data: bytes) -> None:
    """A file of each kind that may stand where a manifest does."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in _SUFFIXES:
            path = Path(folder) / f"m.{suffix}"
            path.write_bytes(data)
            with suppress(ManifestError):
                load_manifest(path)
