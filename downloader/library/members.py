"""The members of a ZIP on their way into staging: images to files, the few texts to memory. Raises OSError; see faults.py."""

import hashlib
import os
import re
from types import MappingProxyType
from typing import Final, Protocol

from downloader.dicomstream import DicomIdentity, DicomScanner
from downloader.errors import NotDicomError, UnsafeMemberError, WrongSeriesError
from downloader.library.beside import WriterBeside
from downloader.library.disk import NEW_FILE, begin_write_back, write_all
from downloader.model import Series, StagedImage

LICENSE_MEMBER: Final = "LICENSE"
MD5_LIST_MEMBER: Final = "md5hashes.csv"
# beside the images getImage sends only these (ARCHIVE §4.1); a list has about 50 bytes for each image
LONGEST_TEXT_BYTES: Final = MappingProxyType({LICENSE_MEMBER: 1024 * 1024, MD5_LIST_MEMBER: 64 * 1024 * 1024})

_LONGEST_NAME = 1024
# from here on an image is worth a thread of its own: series of many images keep all processors busy without
_LARGE_BYTES = 16 * 1024 * 1024
_UNSAFE_NAME = re.compile(
    r"""
    [\x00-\x1f\x7f-\x9f]        # control characters, NUL among them
    | \A[/\\]                   # absolute
    | \A[A-Za-z]:               # a Windows drive
    | (?:\A|[/\\])\.\.(?:[/\\]|\Z)
    """,
    re.VERBOSE,
)


class Member(Protocol):
    """One member between its start and its end."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        ...

    def close(self) -> None:
        """Let go of what the member holds. Safe to call twice."""
        ...


class TextMember:
    """A text that is kept in memory, up to its bound."""

    __slots__ = ("_content", "_longest_bytes", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._longest_bytes = LONGEST_TEXT_BYTES[name]
        self._content = bytearray()

    def write(self, data: bytes) -> None:
        """See Member.

        Raises:
            UnsafeMemberError: longer than such a text can be.
        """
        self._content += data
        if len(self._content) > self._longest_bytes:
            raise UnsafeMemberError(f"the text {self.name} in the ZIP is longer than {self._longest_bytes} bytes")

    def content(self) -> bytes:
        """All of the text."""
        return bytes(self._content)

    def close(self) -> None:
        """See Member."""


class ImageMember:
    """An image that is hashed, identified and written while it passes by; a large one with the help of a thread.

    Args:
        what: how messages call it.
        path: a new file of ours; None where it is written elsewhere.
        name: what the ZIP calls it; empty for one that came singly.
    """

    __slots__ = ("_beside", "_descriptor", "_md5", "_scanner", "name", "size_bytes", "what")

    def __init__(self, what: str, path: str | None, name: str = "") -> None:
        self.what = what
        self.name = name
        self.size_bytes = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._scanner = DicomScanner()
        self._descriptor = -1 if path is None else os.open(path, NEW_FILE, 0o666)
        self._beside: WriterBeside | None = None

    def write(self, data: bytes) -> None:
        """See Member.

        Raises:
            NotDicomError: the member is no DICOM file.
        """
        try:
            self._scanner.feed(data)
        except NotDicomError as error:
            raise self._named(error) from error
        self.size_bytes += len(data)
        if self._beside is not None:
            self._beside.write(data)
            return
        self._md5.update(data)
        if self._descriptor >= 0:
            write_all(self._descriptor, data)
            if self.size_bytes >= _LARGE_BYTES:
                self._beside = WriterBeside(self._descriptor, self._md5)

    def finish(self) -> tuple[DicomIdentity, str]:
        """Close the file; returns what the image says it is, and the MD5 of its bytes.

        Raises:
            NotDicomError: the member is no DICOM file, or ends before it says which image it is.
        """
        if self._beside is not None:
            self._beside.finish()
        if self._descriptor >= 0:
            begin_write_back(self._descriptor)
        self.close()
        try:
            return self._scanner.finish(), self._md5.hexdigest()
        except NotDicomError as error:
            raise self._named(error) from error

    def close(self) -> None:
        """See Member."""
        if self._beside is not None:
            beside, self._beside = self._beside, None
            beside.close()
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _named(self, error: NotDicomError) -> NotDicomError:
        return NotDicomError(f"{self.what}: {error.what}", next_step=error.next_step)


def identify(member: ImageMember, position: int, series: Series) -> StagedImage:
    """What the image is, now that it ended: one of the series, which is told `position` of its member.

    Raises:
        NotDicomError: it is none, or ends before it says which.
        WrongSeriesError: it is of another series.
    """
    identity, md5 = member.finish()
    if identity.series_instance_uid != series.series_instance_uid:
        raise WrongSeriesError(
            f"{member.what} is an image of series {identity.series_instance_uid}",
            series_instance_uid=series.series_instance_uid,
        )
    return StagedImage(
        position=position,
        member_name=member.name,
        sop_instance_uid=identity.sop_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        instance_number=identity.instance_number,
        acquisition_number=identity.acquisition_number,
        size_bytes=member.size_bytes,
        md5=md5,
        ends_whole=identity.ends_whole,
        sop_class_uid=identity.sop_class_uid,
    )


def refuse_unsafe_name(name: str) -> None:
    """Refuse names that no honest archive sends. Odd ones such as `00000001.5/IMG1` are harmless: no name is used as a path.

    Raises:
        UnsafeMemberError: empty, overlong, absolute, climbing, or with control characters.
    """
    if not name or len(name) > _LONGEST_NAME or _UNSAFE_NAME.search(name):
        raise UnsafeMemberError(
            f"the ZIP has a member called {name[:80]!r}, which no honest archive sends",
            next_step="nothing of this series was stored; tell the archive's help desk",
        )
