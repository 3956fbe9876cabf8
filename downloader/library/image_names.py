"""File names of the images of one series. Pure, and the same for the same images in whatever order they came."""

import re
from collections import defaultdict
from collections.abc import Sequence

from downloader.model import Identity, Image, StagedImage

# what the archive calls images when asked for NewFileNames (docs/archives.md#image-endpoints)
_ARCHIVE_NAME = re.compile(r"[0-9]{1,9}-[0-9]{1,9}\.dcm")


def name_images(images: Sequence[StagedImage]) -> dict[str, StagedImage]:
    """Give every image its file name; returned in the order of the names.

    The archive's own `<acquisition>-<instance>.dcm` is kept when all images have such names, each its own. Otherwise names of
    that form are made: the rank of the acquisition number among those of the series, and the rank of the image within the
    acquisition by instance number, then SOP instance UID. Images without a number come after those with one.
    """
    by_member_name = {image.member_name: image for image in images}
    if len(by_member_name) == len(images) and all(map(_ARCHIVE_NAME.fullmatch, by_member_name)):
        return dict(sorted(by_member_name.items()))
    acquisitions: dict[tuple[bool, int], list[StagedImage]] = defaultdict(list)
    for image in images:
        acquisitions[_numbers_first(image.acquisition_number)].append(image)
    acquisition_digits = len(str(len(acquisitions)))
    instance_digits = len(str(max(map(len, acquisitions.values()), default=0)))
    named = {}
    for acquisition_rank, number in enumerate(sorted(acquisitions), start=1):
        in_order = sorted(
            acquisitions[number],
            key=lambda image: (_numbers_first(image.instance_number), image.sop_instance_uid),
        )
        for instance_rank, image in enumerate(in_order, start=1):
            named[f"{acquisition_rank:0{acquisition_digits}d}-{instance_rank:0{instance_digits}d}.dcm"] = image
    return named


def receipt_image(name: str, staged: StagedImage) -> Image:
    """What the receipt says of a staged image that is called `name` from now on."""
    return Image(
        name=name,
        sop_instance_uid=staged.sop_instance_uid if staged.identity is Identity.READ else "",
        size_bytes=staged.size_bytes,
        md5=staged.md5,
        sop_class_uid=staged.sop_class_uid,
        identity=staged.identity,
    )


def _numbers_first(number: int | None) -> tuple[bool, int]:
    return (number is None, number or 0)
