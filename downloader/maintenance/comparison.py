"""Compares a receipt with the content of its folder, without I/O."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from downloader.library.model import HashedMember
from downloader.model import Image, Receipt, Series
from downloader.results.findings import Finding, FindingKind


def finding_of(kind: FindingKind, series: Series, path: PurePosixPath, sentence: str) -> Finding:
    """A finding about a path of a series."""
    return Finding(kind=kind, series_instance_uid=series.series_instance_uid, path=str(path), sentence=sentence)


def compare_contents(folder: PurePosixPath, receipt: Receipt, contents: Mapping[str, int | None]) -> Iterator[Finding]:
    """Compare the names and sizes in a folder with its receipt."""
    what = "image" if receipt.zip is None else "ZIP"
    told = receipt.file_sizes
    for name, told_bytes in told.items():
        size_bytes = contents.get(name)
        if size_bytes is None:
            yield finding_of(FindingKind.MISSING_IMAGE, receipt.series, folder / name, f"the {what} is missing")
        elif size_bytes != told_bytes:
            sentence = f"the {what} has {size_bytes:,} bytes, the receipt has {told_bytes:,}"
            yield finding_of(FindingKind.WRONG_SIZE, receipt.series, folder / name, sentence)
    for name in sorted(contents.keys() - told.keys()):
        yield finding_of(FindingKind.UNKNOWN_FILE, receipt.series, folder / name, "this file is not in the receipt")


def compare_members(
    place: PurePosixPath, receipt: Receipt, members: Sequence[HashedMember], expected: dict[str, Image]
) -> Iterator[Finding]:
    """Compare members with the images of the receipt, and remove those that the receipt has from `expected`."""
    for member in members:
        image = expected.pop(member.name, None)
        if image is None:
            yield finding_of(FindingKind.WRONG_MD5, receipt.series, place / member.name, "this member is not in the receipt")
        elif member.size_bytes != image.size_bytes:
            sentence = f"the image has {member.size_bytes:,} bytes, the receipt has {image.size_bytes:,}"
            yield finding_of(FindingKind.WRONG_SIZE, receipt.series, place / member.name, sentence)
        elif member.md5 != image.md5:
            sentence = f"the image has MD5 {member.md5}, the receipt has {image.md5}"
            yield finding_of(FindingKind.WRONG_MD5, receipt.series, place / member.name, sentence)
