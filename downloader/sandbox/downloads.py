"""The image endpoints: which members a ZIP has, in which order, under which names (docs/archives.md#image-endpoints)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Final

from downloader.sandbox.answers import (
    Answer,
    Download,
    ListOrder,
    Naming,
    Parameters,
    Refusal,
    ServerFault,
    SingleImage,
    first,
)
from downloader.sandbox.images import Buffer, Images, SandboxImage
from downloader.sandbox.queries import Answering, View
from downloader.sandbox.zipwriter import ZipMember

LICENSE_NAME: Final = "LICENSE"
MD5_LIST_NAME: Final = "md5hashes.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedImage:
    """One image member, honest unless a fault changed it.

    `sent_bytes` cuts the image short; `content` stands in for the image's own bytes; `listed_md5` for its own hash in
    md5hashes.csv; `listed` tells whether it stands there at all.
    """

    name: str
    image: SandboxImage
    sent_bytes: int | None = None
    content: Callable[[], Iterable[Buffer]] | None = None
    listed_md5: Callable[[str], str] | None = None
    listed: bool = True
    crc_error: int = 0
    size_error: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipPlan:
    """The members of one ZIP: LICENSE (None: without), images, md5hashes.csv (None: without), then other files."""

    license_text: str | None
    images: tuple[PlannedImage, ...]
    md5_list: ListOrder | None
    others: Mapping[str, str]


def get_image(*, md5: bool) -> Answering:
    """getImage: LICENSE first, then images, and md5hashes.csv last where `md5` is offered and asked for."""

    def answer(view: View, parameters: Parameters) -> Answer:
        held = view.downloadable(first(parameters, "SeriesInstanceUID"))
        if not held:
            return refused(view, parameters)
        return Download(
            holding=held,
            naming=Naming.RANKED if _is(parameters, "NewFileNames", "yes") else Naming.COUNTER,
            license=True,
            md5_list=ListOrder.SHUFFLED if md5 and _is(parameters, "IncludeMD5", "yes") else None,
        )

    return answer


def get_counted_image(view: View, parameters: Parameters) -> Answer:
    """What getImage sent in 2013: images alone, and a header that tells how many."""
    held = view.downloadable(first(parameters, "SeriesInstanceUID"))
    if not held:
        return refused(view, parameters)
    return Download(holding=held, naming=Naming.COUNTER, announced=True)


def get_image_with_md5_hash(view: View, parameters: Parameters) -> Answer:
    """getImageWithMD5Hash: images and md5hashes.csv, no LICENSE."""
    held = view.downloadable(first(parameters, "SeriesInstanceUID"))
    if not held:
        return refused(view, parameters)
    return Download(holding=held, naming=Naming.COUNTER, md5_list=ListOrder.SHUFFLED)


def get_dcm_image(view: View, parameters: Parameters) -> Answer:
    """getDCMImage: images under ranked names, then md5hashes.csv and annotations where they are asked for."""
    held = view.downloadable(first(parameters, "SeriesInstanceUID"))
    if not held:
        return refused(view, parameters)
    return Download(
        holding=held,
        naming=Naming.RANKED,
        md5_list=ListOrder.OF_IMAGES if _is(parameters, "MD5Verification", "true") else None,
        annotation=_is(parameters, "IncludeAnnotation", "true"),
    )


def get_single_image(view: View, parameters: Parameters) -> Answer:
    """getSingleImage: one bare image; anything unknown or refused is a null dereference (docs/archives.md#image-endpoints)."""
    held = view.downloadable(first(parameters, "SeriesInstanceUID"))
    wanted = first(parameters, "SOPInstanceUID")
    images = view.images.of(held) if held else ()
    return next((SingleImage(image) for image in images if image.sop_instance_uid == wanted), ServerFault())


def refused(view: View, parameters: Parameters) -> Refusal:
    """The one sentence for unknown, private and broken alike (docs/archives.md#failed-downloads)."""
    return Refusal(view.refusal.format(first(parameters, "SeriesInstanceUID") or ""))


def plan(download: Download, images: Images, shuffler: Random) -> ZipPlan:
    """Name and order the members as an archive in good health would."""
    series = download.holding.series
    found = list(images.of(download.holding))
    if download.naming is Naming.COUNTER:
        # The archive's query has no ORDER BY: a number says nothing, and means another image next time.
        shuffler.shuffle(found)
        named = [(f"{number:08d}.dcm", image) for number, image in enumerate(found, start=1)]
    else:
        named = list(_ranked(found))
    others = {f"{series.series_instance_uid[-8:]}.xml": series.annotation} if series.annotation else {}
    return ZipPlan(
        license_text=download.holding.collection.license_text if download.license else None,
        images=tuple(PlannedImage(name=name, image=image) for name, image in named),
        md5_list=download.md5_list,
        others=others if download.annotation else {},
    )


def renamed(planned: ZipPlan, position: int, name: str) -> ZipPlan:
    """The plan with another name for one of its images; unchanged where it has no such image."""
    images = list(planned.images)
    if position < len(images):
        images[position] = replace(images[position], name=name)
    return replace(planned, images=tuple(images))


def members(planned: ZipPlan, images: Images, shuffler: Random) -> Iterator[ZipMember]:
    """The members of a plan, each made when its turn comes."""
    if planned.license_text is not None:
        yield ZipMember(name=LICENSE_NAME, chunks=partial(_once, planned.license_text))
    for one in planned.images:
        yield ZipMember(
            name=one.name,
            chunks=partial(_image_chunks, one, images, hashed=planned.md5_list is not None),
            crc_error=one.crc_error,
            size_error=one.size_error,
        )
    if planned.md5_list is not None:
        yield ZipMember(name=MD5_LIST_NAME, chunks=lambda: _once(_md5_list(planned, images, shuffler)))
    for name, text in planned.others.items():
        yield ZipMember(name=name, chunks=partial(_once, text))


def _ranked(found: Sequence[SandboxImage]) -> Iterator[tuple[str, SandboxImage]]:
    """`<acquisition>-<instance>.dcm`: ordinal ranks, the first climbing at every change of acquisition.

    Source: docs/archives.md#image-endpoints.
    """
    width = len(str(len(found)))
    rank = instance = 0
    previous: SandboxImage | None = None
    for image in sorted(found, key=lambda image: image.instance_number or 0):
        if previous is None or image.acquisition_number != previous.acquisition_number:
            rank, instance = rank + 1, 0
        instance += 1
        previous = image
        yield f"{rank}-{instance:0{width}d}.dcm", image


def _image_chunks(one: PlannedImage, images: Images, *, hashed: bool) -> Iterator[Buffer]:
    if one.content:
        yield from one.content()
        return
    left = one.image.size_bytes if one.sent_bytes is None else one.sent_bytes
    for chunk in images.hashed(one.image) if hashed else one.image.chunks():
        yield chunk[:left]
        left -= len(chunk)
        if left <= 0 and one.sent_bytes is not None:
            return


def _md5_list(planned: ZipPlan, images: Images, shuffler: Random) -> str:
    rows = []
    for one in planned.images:
        if one.listed:
            digest = images.md5(one.image)
            rows.append(f"{one.name},{one.listed_md5(digest) if one.listed_md5 else digest}\n")
    if planned.md5_list is ListOrder.SHUFFLED:
        shuffler.shuffle(rows)
    return "".join(["Filename,MD5Hash\n", *rows])


def _once(text: str) -> Iterator[bytes]:
    yield text.encode("utf-8", "surrogateescape")


def _is(parameters: Parameters, name: str, value: str) -> bool:
    return (first(parameters, name) or "").lower() == value
