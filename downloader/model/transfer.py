"""What a transfer of images brings, in the order in which it comes, and what an attempt has staged of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from downloader.model.series import Identity


@dataclass(frozen=True, slots=True)
class ImageStarted:
    """An image begins.

    `name` is the source's word for it in this transfer, never used as a path. It is empty for an image that was asked for by its
    `sop_instance_uid`: no other one may come then.
    """

    name: str
    sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class ImageData:
    """The next bytes, 1 to about a million, of the image that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ImageEnded:
    """The image that began last came as the source framed it: checksum or length hold."""


@dataclass(frozen=True, slots=True)
class TextStarted:
    """Something that is no image begins, so the source did not stop within the image that ended last."""


@dataclass(frozen=True, slots=True)
class LicenseReceived:
    """The licence of the series came whole."""

    text: bytes


ImageEvent = ImageStarted | ImageData | ImageEnded | TextStarted | LicenseReceived


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """The next part of a transfer, about a mebibyte.

    Attributes:
        events: what the part brings. To iterate parses, inflates and checks, so do it once, in a worker thread. It raises
            TransferErrors.
        received_bytes: how many bytes came over the line for it.
        is_last: the transfer of the whole series ends with it. An end that shows itself later comes without a portion.
        original: the bytes themselves, where the source sends the series as one file (see `Capabilities.original_bytes`).
    """

    events: Iterable[ImageEvent]
    received_bytes: int
    is_last: bool = False
    original: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedImage:
    """An image in staging: hashed and identified, not yet proven to belong to a complete series.

    `position` counts images from 0 and names the staged file; `member_name` is the source's word for it, empty for an image that
    came singly, and is never used as a path. `ends_whole` tells whether the data set ends exactly where the member does
    (PS3.10 §7, PS3.5 §7): None where the encoding leaves that open. Numbers are Instance Number (0020,0013) and Acquisition
    Number (0020,0012).

    `doubt` tells why our scanner could not follow the image, empty where it could: then only the archive's own MD5 lets it in.
    Where no other reader knows better, `identity` is `unread`, `series_instance_uid` is empty, and `sop_instance_uid` is a
    stand-in that no image has.
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
        """How messages call it."""
        return f"image {self.sop_instance_uid}" if self.identity is Identity.READ else f"image {self.member_name!r}"
