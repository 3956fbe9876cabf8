"""The events of a transfer of images, in order, and the images that an attempt has staged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from downloader.model.series import Identity


@dataclass(frozen=True, slots=True)
class ImageStarted:
    """An image begins.

    `name` is the source's name of it in this transfer, and never a path. It is empty for an image that was requested by its
    `sop_instance_uid`: the transfer may contain no other image then.
    """

    name: str
    sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class ImageData:
    """The next bytes of the current image: at least 1, at most about 1 MiB."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ImageEnded:
    """The current image is complete, and its checksum or length is correct."""


@dataclass(frozen=True, slots=True)
class TextStarted:
    """Something other than an image begins, so the source did not stop within the last image."""


@dataclass(frozen=True, slots=True)
class LicenseReceived:
    """The complete licence text of the series."""

    text: bytes


ImageEvent = ImageStarted | ImageData | ImageEnded | TextStarted | LicenseReceived


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """The next part of a transfer, about 1 MiB.

    Attributes:
        events: the events of the part. Iterating parses, inflates and verifies: iterate once, in a worker thread. It raises
            TransferErrors.
        received_bytes: the bytes that were received for it, before inflating.
        is_last: the transfer of the whole series ends with this portion. An end that is detected later has no portion.
        original: the received bytes, if the source sends the series as one file (see `Capabilities.original_bytes`).
    """

    events: Iterable[ImageEvent]
    received_bytes: int
    is_last: bool = False
    original: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedImage:
    """An image in staging: hashed and identified, but not yet proven to belong to a complete series.

    `position` counts images from 0 and names the staged file. `member_name` is the source's name of the image, never a path; it
    is empty for an image that was requested singly. `ends_whole` tells whether the data set ends where the member does (PS3.10
    §7, PS3.5 §7); None if the encoding does not show it. The numbers are Instance Number (0020,0013) and Acquisition Number
    (0020,0012).

    `doubt` tells why our scanner could not parse the image, empty if it could; such an image is accepted only if it matches the
    archive's own MD5. If no other reader can parse it either, `identity` is `unread`, `series_instance_uid` is empty, and
    `sop_instance_uid` is a placeholder that no image has.
    """

    position: int
    member_name: str
    sop_instance_uid: str
    series_instance_uid: str
    instance_number: int | None
    acquisition_number: int | None
    size_bytes: int
    md5: str
    ends_whole: bool | None
    sop_class_uid: str = ""
    doubt: str = ""
    identity: Identity = Identity.READ

    @property
    def label(self) -> str:
        """The name of the image in messages."""
        return f"image {self.sop_instance_uid}" if self.identity is Identity.READ else f"image {self.member_name!r}"
