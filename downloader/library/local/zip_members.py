"""The members of a ZIP on their way into staging: images to files, the few texts to memory. Raises OSError; see errors.py."""

import hashlib
import os
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from downloader.dicomstream import HEAD_BYTES, DicomIdentity, DicomScanner, read_leniently
from downloader.errors import NotDicomError, UnsafeMemberError, WrongSeriesError
from downloader.library.local.filesystem import NEW_FILE, begin_write_back, write_all
from downloader.library.local.writer_thread import WriterBeside
from downloader.model import Identity, Series, StagedImage

LICENSE_MEMBER: Final = "LICENSE"
MD5_LIST_MEMBER: Final = "md5hashes.csv"
# beside the images getImage sends only these (docs/archives.md#image-endpoints); a list has about 50 bytes for each image
LONGEST_TEXT_BYTES: Final = MappingProxyType({LICENSE_MEMBER: 1024 * 1024, MD5_LIST_MEMBER: 64 * 1024 * 1024})

_LONGEST_NAME = 1024
# no image can have this UID: what cannot be printed stands as escapes in those that were read
_STAND_IN = "\0unread {position}"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedMember:
    """What a member turned out to be: its MD5, and who it is. `identity` is None where no reader can tell.

    `doubt` tells why the scanner could not follow it; empty where it could.
    """

    md5: str
    identity: DicomIdentity | None
    doubt: str = ""


class ImageMember:
    """An image that is hashed, identified and written while it passes by; a large one with the help of a thread.

    What the scanner cannot follow is hashed and written all the same: the archive's MD5, which comes last, may vouch for it. Its
    beginning is held until the scanner knows who it is, for pydicom to look at.

    Args:
        what: how messages call it.
        path: a new file of ours; None where it is written elsewhere.
        name: what the ZIP calls it; empty for one that came singly.
    """

    __slots__ = ("_beside", "_descriptor", "_failure", "_head", "_is_unknown", "_md5", "_scanner", "name", "size_bytes", "what")

    def __init__(self, what: str, path: str | None, name: str = "") -> None:
        self.what = what
        self.name = name
        self.size_bytes = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._scanner = DicomScanner()
        self._failure: NotDicomError | None = None
        self._is_unknown = True
        self._head: list[bytes] = []
        self._descriptor = -1 if path is None else os.open(path, NEW_FILE, 0o666)
        self._beside: WriterBeside | None = None

    def write(self, data: bytes) -> None:
        """See Member."""
        if self._is_unknown:
            self._look_at(data)
        elif self._failure is None:
            self._scan(data)
        self.size_bytes += len(data)
        if self._beside is not None:
            self._beside.write(data)
            return
        self._md5.update(data)
        if self._descriptor >= 0:
            write_all(self._descriptor, data)
            if self.size_bytes >= _LARGE_BYTES:
                self._beside = WriterBeside(self._descriptor, self._md5)

    def finish(self) -> ScannedMember:
        """Close the file, and say what it was.

        Raises:
            NotDicomError: the member is empty.
        """
        if self._beside is not None:
            self._beside.finish()
        if self._descriptor >= 0:
            begin_write_back(self._descriptor)
        self.close()
        md5 = self._md5.hexdigest()
        if not self.size_bytes:
            raise NotDicomError(f"{self.what} is empty")
        try:
            if self._failure is None:
                return ScannedMember(md5=md5, identity=self._scanner.finish())
        except NotDicomError as error:
            self._failure = error
        doubt = f"{self.what}: {self._failure.what}"
        try:
            return ScannedMember(md5=md5, identity=read_leniently(b"".join(self._head), self.size_bytes), doubt=doubt)
        except NotDicomError as error:
            return ScannedMember(md5=md5, identity=None, doubt=f"{doubt}; {error.what}")

    def close(self) -> None:
        """See Member."""
        if self._beside is not None:
            beside, self._beside = self._beside, None
            beside.close()
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _look_at(self, data: bytes) -> None:
        """Scan, and hold what comes until it is known who the image is, or more has come than is looked at."""
        if self._failure is None:
            self._scan(data)
        if self._failure is None and self._scanner.has_identity:
            self._is_unknown = False
            self._head = []
            return
        self._head.append(data)
        self._is_unknown = self.size_bytes + len(data) < HEAD_BYTES

    def _scan(self, data: bytes) -> None:
        try:
            self._scanner.feed(data)
        except NotDicomError as error:
            self._failure = error


def identify(member: ImageMember, position: int, series: Series) -> StagedImage:
    """What the image is, now that it ended: one of the series, which is told `position` of its member.

    One that cannot be read, or only by pydicom, has a `doubt`: completeness.py decides about it once the archive's MD5 is known.

    Raises:
        NotDicomError: the member is empty.
        WrongSeriesError: it is of another series.
    """
    found = member.finish()
    identity = found.identity
    if identity is not None and identity.series_instance_uid != series.series_instance_uid:
        raise WrongSeriesError(
            f"{member.what} is an image of series {identity.series_instance_uid}",
            series_instance_uid=series.series_instance_uid,
        )
    if identity is None or not identity.sop_instance_uid:
        return StagedImage(
            position=position,
            member_name=member.name,
            sop_instance_uid=_STAND_IN.format(position=position),
            series_instance_uid="",
            instance_number=None,
            acquisition_number=None,
            size_bytes=member.size_bytes,
            md5=found.md5,
            ends_whole=None,
            doubt=found.doubt,
            identity=Identity.UNREAD,
        )
    return StagedImage(
        position=position,
        member_name=member.name,
        sop_instance_uid=identity.sop_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        instance_number=identity.instance_number,
        acquisition_number=identity.acquisition_number,
        size_bytes=member.size_bytes,
        md5=found.md5,
        ends_whole=identity.ends_whole,
        sop_class_uid=identity.sop_class_uid,
        doubt=found.doubt,
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
