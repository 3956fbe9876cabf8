"""The images of getImage and getSingleImage: a ZIP that is read as it arrives, and a bare DICOM file."""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Final

from downloader.archive.nbia.error_replies import READ_BYTES, quote_text
from downloader.completeness import Evidence
from downloader.errors import ArchiveFaultError, IncompleteSeriesError, UnsafeMemberError
from downloader.model import (
    ImageData,
    ImageEnded,
    ImageEvent,
    ImageStarted,
    LicenseReceived,
    Portion,
    Series,
    TextStarted,
)
from downloader.transport.client import Reply
from downloader.zipstream import (
    LICENSE_MEMBER,
    LONGEST_TEXT_BYTES,
    MD5_LIST_MEMBER,
    MemberData,
    MemberStarted,
    ZipLimits,
    ZipReader,
)

_MARGIN = 1.1
_MARGIN_BYTES = 64 * 1024 * 1024
_LONGEST_NAME = 1024
_UNSAFE_NAME: Final = re.compile(
    r"""
    [\x00-\x1f\x7f-\x9f]        # control characters, NUL among them
    | \A[/\\]                   # absolute
    | \A[A-Za-z]:               # a Windows drive
    | (?:\A|[/\\])\.\.(?:[/\\]|\Z)
    """,
    re.VERBOSE,
)
_READABLE_TYPES: Final = frozenset({"application/json", "application/xml", "application/xhtml+xml"})
_ENDED: Final = ImageEnded()
_TEXT_STARTED: Final = TextStarted()


async def expect_images(reply: Reply, series_instance_uid: str) -> None:
    """Refuse replies that cannot be images before they are parsed as such (docs/faults.md, trap 6).

    Raises:
        ArchiveFaultError: the reply is empty, or its Content-Type is that of a text.
    """
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if reply.status == 204 or reply.headers.get("Content-Length") == "0":
        what = "received an empty reply instead of images"
    elif kind.startswith("text/") or kind in _READABLE_TYPES:
        shown = quote_text(reply.headers["Content-Type"])
        what = f"received a reply of type {shown} instead of images: {quote_text(await reply.text(READ_BYTES))}"
    else:
        return
    raise ArchiveFaultError(f"{reply.url}: {what}", series_instance_uid=series_instance_uid)


def limits_for(series: Series) -> ZipLimits:
    """The limits of a ZIP of this series: the catalogue's figures with a margin for lists and a changed series."""
    limits = ZipLimits()
    member_count = limits.member_count if series.image_count is None else int(series.image_count * _MARGIN) + 1_000
    total_bytes = limits.total_bytes if series.file_size_bytes is None else int(series.file_size_bytes * _MARGIN) + _MARGIN_BYTES
    return ZipLimits(
        member_count=min(member_count, limits.member_count),
        member_bytes=min(total_bytes, limits.member_bytes),
        total_bytes=min(total_bytes, limits.total_bytes),
    )


class ZipImages:
    """Reads images from the ZIP of one series. Its few texts are read here too: all other members count as images.

    Args:
        limits: the limits of the ZIP, against decompression bombs.
        has_md5_list: an MD5 list was requested, and ends every complete ZIP.
        announced_images: the number of images in the reply's headers; None if they have none.
    """

    def __init__(self, limits: ZipLimits, *, has_md5_list: bool = False, announced_images: int | None = None) -> None:
        self._reader = ZipReader(limits)
        self._has_md5_list = has_md5_list
        self._announced_images = announced_images
        self._names: set[str] = set()
        self._last_name = ""
        self._has_images = False
        self._text: bytearray | None = None
        self._md5_list: bytes | None = None

    @property
    def brought_md5_list(self) -> bool:
        """Whether an MD5 list arrived with images: only that shows that a deployment sends lists. Status 200 does not."""
        return self._md5_list is not None and self._has_images

    def read(self, chunks: Iterable[bytes]) -> Iterator[ImageEvent]:
        """Parse the next bytes of the ZIP, and yield their events. Parsing happens while the result is iterated.

        Raises:
            CorruptZipError: the bytes are not a ZIP, or the ZIP contradicts itself.
            UnsafeMemberError: a limit is exceeded, a name is unsafe or a duplicate, or a text is too long.
        """
        for chunk in chunks:
            for event in self._reader.feed(chunk):
                if isinstance(event, MemberStarted):
                    yield self._begin(event.name)
                elif self._text is None:
                    yield ImageData(event.data) if isinstance(event, MemberData) else _ENDED
                elif isinstance(event, MemberData):
                    self._text += event.data
                    if len(self._text) > LONGEST_TEXT_BYTES[self._last_name]:
                        longest = LONGEST_TEXT_BYTES[self._last_name]
                        raise UnsafeMemberError(f"the text {self._last_name} in the ZIP is longer than {longest} bytes")
                elif self._last_name == LICENSE_MEMBER:
                    yield LicenseReceived(bytes(self._text))
                else:
                    self._md5_list = bytes(self._text)

    def evidence(self) -> Evidence:
        """See SeriesTransfer.

        Raises:
            TruncatedZipError: the ZIP has not ended.
        """
        self._reader.finish()
        if not self._has_md5_list:
            return Evidence(announced_images=self._announced_images)
        digests, flaw = self._read_md5_list()
        return Evidence(announced_images=self._announced_images, digests_expected=True, digests=digests, digests_flaw=flaw)

    def _begin(self, name: str) -> ImageEvent:
        # odd names such as 00000001.5/IMG1 are harmless: no name is used as a path
        if not name or len(name) > _LONGEST_NAME or _UNSAFE_NAME.search(name):
            raise UnsafeMemberError(
                f"the ZIP has a member called {name[:80]!r}, which no correct archive sends",
                next_step="nothing of this series was stored; tell the archive's help desk",
            )
        if name in self._names:
            # the archive stops before it writes a name twice (docs/archives.md#failed-downloads), so this ZIP is not from it
            raise UnsafeMemberError(f"the ZIP has two members called {name!r}, which no correct archive sends")
        self._names.add(name)
        self._last_name = name
        if name in LONGEST_TEXT_BYTES:
            self._text = bytearray()
            return _TEXT_STARTED
        self._text = None
        self._has_images = True
        return ImageStarted(name)

    def _read_md5_list(self) -> tuple[Mapping[str, str], str]:
        """The digests by name, and the problem of the list, if any. The archive writes the list after its last image."""
        if self._md5_list is None:
            return {}, "the MD5 list that ends every whole ZIP is missing"
        if self._last_name != MD5_LIST_MEMBER:
            return {}, "members follow the MD5 list"
        try:
            return parse_md5_list(self._md5_list), ""
        except IncompleteSeriesError as error:
            return {}, error.what


def parse_md5_list(content: bytes) -> dict[str, str]:
    """Parse md5hashes.csv to member name → 32 lower-case hex digits, empty if the archive has no hash.

    Hashes older than 2021 can lack leading zeros (docs/archives.md#md5s), so they are padded.

    Raises:
        IncompleteSeriesError: it is not the archive's list, or has a duplicate name.
    """
    rows = csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline=""))
    header = next(rows, [])
    if [column.strip().lower() for column in header] != ["filename", "md5hash"]:
        raise IncompleteSeriesError("the MD5 list has no valid first line")
    digests: dict[str, str] = {}
    for row in rows:
        if not row:
            continue
        # names are unquoted and may contain commas: the hash is after the last one
        name, md5 = ",".join(row[:-1]), row[-1].strip().lower()
        if len(row) < 2 or name in digests:
            raise IncompleteSeriesError("the MD5 list has a broken line or a name twice")
        digests[name] = "" if md5 in ("", "null") else md5.zfill(32)
    return digests


class ZipTransfer:
    """A transfer of the ZIP of getImage. Implements SeriesTransfer."""

    def __init__(self, reply: Reply, series: Series, *, has_md5_list: bool) -> None:
        told = reply.headers.get("imageCount", "")
        announced = int(told) if re.fullmatch(r"[0-9]{1,9}", told, re.ASCII) else None
        self._reply = reply
        self.images = ZipImages(limits_for(series), has_md5_list=has_md5_list, announced_images=announced)
        self.brings_digests = has_md5_list
        self.evidence = self.images.evidence

    async def portions(self) -> AsyncIterator[Portion]:
        """See the port."""
        async for batch in self._reply.batches():
            yield Portion(
                events=self.images.read(batch),
                received_bytes=sum(map(len, batch)),
                is_last=self._reply.has_ended,
                original=batch,
            )


class SingleImageTransfer:
    """A transfer of the bare DICOM file of getSingleImage. Implements Transfer."""

    def __init__(self, reply: Reply, sop_instance_uid: str) -> None:
        self._reply = reply
        self._sop_instance_uid = sop_instance_uid

    async def portions(self) -> AsyncIterator[Portion]:
        """See the port. The image is complete when the body ended as HTTP requires."""
        started: tuple[ImageEvent, ...] = (ImageStarted("", self._sop_instance_uid),)
        async for batch in self._reply.batches():
            yield Portion(events=(*started, *map(ImageData, batch)), received_bytes=sum(map(len, batch)))
            started = ()
        yield Portion(events=(*started, _ENDED), received_bytes=0)
