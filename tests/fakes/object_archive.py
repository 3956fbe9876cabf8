"""A source without ZIPs that sends each image as an object with size and digest, as a bucket does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import md5 as hash_md5

from downloader.archive.port import SeriesTransfer
from downloader.completeness import Evidence
from downloader.errors import AccessDeniedError, CutTransferError
from downloader.model import ImageData, ImageEnded, ImageEvent, ImageStarted, Md5Mode, Portion, Series
from tests.fakes.memory_archive import ALL_CAPABILITIES, MemoryArchive

PIECE_BYTES = 4096
OBJECT_CAPABILITIES = replace(ALL_CAPABILITIES, original_bytes=False)


class ObjectTransfer:
    """The objects of one series in order, one per portion; their listing is the evidence.

    Args:
        objects: the images by their keys, which do not contain the UIDs.
        brings_digests: whether the listing has MD5s.
        listed: the images in the listing.
        sent_bytes: the number of bytes after which the connection breaks; None for no break.
    """

    def __init__(
        self,
        objects: Mapping[str, bytes],
        *,
        brings_digests: bool,
        listed: Mapping[str, bytes] | None = None,
        sent_bytes: int | None = None,
    ) -> None:
        self._objects = objects
        self._listed = objects if listed is None else listed
        self._left_bytes = sum(map(len, objects.values())) if sent_bytes is None else sent_bytes
        self.brings_digests = brings_digests

    async def portions(self) -> AsyncIterator[Portion]:
        """Yield one object at a time."""
        last = [*self._objects][-1]
        for key, content in self._objects.items():
            sent = content[: self._left_bytes]
            self._left_bytes -= len(sent)
            is_whole = len(sent) == len(content)
            pieces: list[ImageEvent] = [
                ImageData(sent[start : start + PIECE_BYTES]) for start in range(0, len(sent), PIECE_BYTES)
            ]
            yield Portion(
                events=iter([ImageStarted(key), *pieces, *([ImageEnded()] if is_whole else [])]),
                received_bytes=len(sent),
                is_last=is_whole and key == last,
            )
            if not is_whole:
                raise CutTransferError(f"object {key} broke off")

    def evidence(self) -> Evidence:
        """The evidence of the listing."""
        digests = {key: hash_md5(content, usedforsecurity=False).hexdigest() for key, content in self._listed.items()}
        return Evidence(
            announced_images=len(self._listed),
            digests_expected=self.brings_digests,
            digests=digests if self.brings_digests else {},
        )


@dataclass(slots=True)
class ObjectArchive(MemoryArchive):
    """Implements `Source`. `images` are the objects; `sent_bytes` breaks the next download after that many bytes.

    `damaged` has, by SOP Instance UID, the bytes that are sent instead of the listed ones.
    """

    sent_bytes: int | None = None
    damaged: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = self.generation = "objects"
        self.capabilities = OBJECT_CAPABILITIES

    @asynccontextmanager
    async def open_series(self, series: Series, md5: Md5Mode) -> AsyncIterator[SeriesTransfer]:
        """Yield the objects of the series in the order of their keys."""
        self.opened.append((series.series_instance_uid, md5))
        images = self.images.get(series.series_instance_uid)
        if not images:
            raise AccessDeniedError("no such prefix", series_instance_uid=series.series_instance_uid)
        sent_bytes, self.sent_bytes = self.sent_bytes, None
        keys = {uid: f"{hash_md5(uid.encode(), usedforsecurity=False).hexdigest()}.dcm" for uid in images}
        in_order = sorted(keys, key=keys.__getitem__)
        yield ObjectTransfer(
            {keys[uid]: self.damaged.get(uid, images[uid]) for uid in in_order},
            listed={keys[uid]: images[uid] for uid in in_order},
            brings_digests=md5 is not Md5Mode.OFF,
            sent_bytes=sent_bytes,
        )
