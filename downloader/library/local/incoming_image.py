"""An image on its way into staging: hashed, identified, and written or held in memory. Raises OSError; see filesystem.py."""

import hashlib
import os
from dataclasses import dataclass

from downloader.dicomstream import HEAD_BYTES, DicomIdentity, DicomScanner, read_leniently
from downloader.errors import NotDicomError, WrongSeriesError
from downloader.library.local.filesystem import NEW_FILE, begin_write_back, write_all
from downloader.library.local.writer_thread import WriterThread
from downloader.model import Identity, ImageStarted, Series, StagedImage

# no image can have this UID: unprintable characters of UIDs that were read are escaped
_STAND_IN = "\0unread {position}"
# from this size on, an image gets its own thread: series of many images use all processors without it
_LARGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedImage:
    """The result of scanning an image: its MD5, and its identifiers, None if no reader finds them.

    `doubt` tells why the scanner could not parse it; empty if it could.
    """

    md5: str
    identity: DicomIdentity | None
    doubt: str = ""


class IncomingImage:
    """An image that is hashed and identified as it arrives, and written; a large one with the help of a thread.

    An image that the scanner cannot parse is hashed and written all the same, because it may match the archive's MD5, which
    arrives last. Its beginning is held for pydicom until the scanner has the identifiers.

    Args:
        started: the event with which the image began.
        path: a new file; None if it is not written, or not yet.
        held: receives all of its data, for `move_to`; None to hold nothing.
    """

    __slots__ = (
        "_beside",
        "_descriptor",
        "_failure",
        "_head",
        "_held",
        "_is_unknown",
        "_md5",
        "_scanner",
        "label",
        "size_bytes",
        "started",
    )

    def __init__(self, started: ImageStarted, path: str | None, held: list[bytes] | None = None) -> None:
        self.started = started
        self.label = f"image {started.sop_instance_uid or repr(started.name)}"
        self.size_bytes = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._scanner = DicomScanner()
        self._failure: NotDicomError | None = None
        self._is_unknown = True
        self._head: list[bytes] = []
        self._held = held
        self._descriptor = -1 if path is None else os.open(path, NEW_FILE, 0o666)
        self._beside: WriterThread | None = None

    def write(self, data: bytes) -> None:
        """Hash, scan and write the next bytes."""
        if self._failure is None:
            try:
                self._scanner.feed(data)
            except NotDicomError as error:
                self._failure = error
        if self._is_unknown:
            self._look_at(data)
        self.size_bytes += len(data)
        if self._beside is not None:
            self._beside.write(data)
            return
        self._md5.update(data)
        if self._held is not None:
            self._held.append(data)
        elif self._descriptor >= 0:
            write_all(self._descriptor, data)
            if self.size_bytes >= _LARGE_BYTES:
                self._beside = WriterThread(self._descriptor, self._md5)

    def move_to(self, path: str) -> None:
        """Write the held data to a new file, and all further data."""
        held, self._held = self._held or (), None
        self._descriptor = os.open(path, NEW_FILE, 0o666)
        for data in held:
            write_all(self._descriptor, data)

    def finish(self) -> ScannedImage:
        """Close the file, and return the result.

        Raises:
            NotDicomError: the image is empty.
        """
        if self._beside is not None:
            self._beside.finish()
        if self._descriptor >= 0:
            begin_write_back(self._descriptor)
            self.close()
        md5 = self._md5.hexdigest()
        if not self.size_bytes:
            raise NotDicomError(f"{self.label} is empty")
        try:
            if self._failure is None:
                return ScannedImage(md5=md5, identity=self._scanner.finish())
        except NotDicomError as error:
            self._failure = error
        doubt = f"{self.label}: {self._failure.what}"
        try:
            return ScannedImage(md5=md5, identity=read_leniently(b"".join(self._head), self.size_bytes), doubt=doubt)
        except NotDicomError as error:
            return ScannedImage(md5=md5, identity=None, doubt=f"{doubt}; {error.what}")

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if self._beside is not None:
            beside, self._beside = self._beside, None
            beside.close()
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _look_at(self, data: bytes) -> None:
        """Hold the data until the identifiers are known, or the limit is reached."""
        if self._failure is None and self._scanner.has_identity:
            self._is_unknown = False
            self._head = []
            return
        self._head.append(data)
        self._is_unknown = self.size_bytes + len(data) < HEAD_BYTES


def identify(image: IncomingImage, position: int, series: Series) -> StagedImage:
    """The staged image after its end, at this `position` in the series.

    If only pydicom or no reader can parse it, it has a `doubt`: completeness.py decides when the archive's MD5 is known. A singly
    requested image has no digest, so a doubtful one is refused.

    Raises:
        NotDicomError: the image is empty, or a doubtful one that was requested singly.
        WrongSeriesError: it is of another series, or is not the requested one.
    """
    found = image.finish()
    identity = found.identity
    _refuse_other(image, found, series)
    if identity is None or not identity.sop_instance_uid:
        return StagedImage(
            position=position,
            member_name=image.started.name,
            sop_instance_uid=_STAND_IN.format(position=position),
            series_instance_uid="",
            instance_number=None,
            acquisition_number=None,
            size_bytes=image.size_bytes,
            md5=found.md5,
            ends_whole=None,
            doubt=found.doubt,
            identity=Identity.UNREAD,
        )
    return StagedImage(
        position=position,
        member_name=image.started.name,
        sop_instance_uid=identity.sop_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        instance_number=identity.instance_number,
        acquisition_number=identity.acquisition_number,
        size_bytes=image.size_bytes,
        md5=found.md5,
        ends_whole=identity.ends_whole,
        sop_class_uid=identity.sop_class_uid,
        doubt=found.doubt,
    )


def _refuse_other(image: IncomingImage, found: ScannedImage, series: Series) -> None:
    """Raise NotDicomError or WrongSeriesError if the image is not of the series, or is not the requested one."""
    identity, asked_for = found.identity, image.started.sop_instance_uid
    if identity is not None and identity.series_instance_uid != series.series_instance_uid:
        raise WrongSeriesError(
            f"{image.label} is an image of series {identity.series_instance_uid}", series_instance_uid=series.series_instance_uid
        )
    if not asked_for:
        return
    if found.doubt:
        raise NotDicomError(found.doubt, series_instance_uid=series.series_instance_uid)
    if identity is None or identity.sop_instance_uid != asked_for:
        came = identity.sop_instance_uid if identity is not None else "of no name"
        raise WrongSeriesError(
            f"the archive sent image {came} where {asked_for} was asked for", series_instance_uid=series.series_instance_uid
        )
