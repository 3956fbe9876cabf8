"""What the faults do to ZIPs, tables and whole replies, before anything is sent."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from downloader.sandbox.answers import Table
from downloader.sandbox.catalogue import Catalogue, Holding
from downloader.sandbox.downloads import PlannedImage, ZipPlan, renamed
from downloader.sandbox.faults import Fault, FaultKind
from downloader.sandbox.headers import image_uid
from downloader.sandbox.images import Buffer, Images
from downloader.sandbox.replies import Reply, failure, whole

_ZEROS: Final = bytes(1024 * 1024)


def replaced_reply(fault: Fault, refusal: str) -> Reply:
    """The reply that comes in place of the honest one. `refusal` is the generation's sentence for this series."""
    match fault.kind:
        case FaultKind.STATUS:
            reply = failure(fault.status or 503, fault.text or None)
            after = fault.retry_after_seconds
            return reply if after is None else reply.with_headers({"Retry-After": str(after)})
        case FaultKind.REDIRECT:
            return Reply(status=fault.status or 302, headers={"Location": fault.location or ""}, content_bytes=0)
        case FaultKind.DENIED:
            return whole("application/json", refusal, 400)
        case FaultKind.EMPTY:
            return Reply(status=200, content_bytes=0)
        case FaultKind.HTML:
            return whole("text/html", fault.text or "<html><body><h1>Scheduled maintenance</h1></body></html>\n")
        case FaultKind.JSON_TEXT:
            return whole("application/json", fault.text or '{"errorMessage":"java.lang.IndexOutOfBoundsException"}')
        case _:
            return whole("application/json", "Unable to map to JSON")


def tampered_table(table: Table, fault: Fault) -> Table:
    """The table with its rows changed."""
    match fault.kind:
        case FaultKind.EMPTY_ROWS:
            return replace(table, rows=[(None,) * len(table.columns)])
        case FaultKind.SHORT_LIST:
            return replace(table, rows=table.rows[: fault.rows])
        case FaultKind.HIDDEN_IMAGES:
            more = [(image_uid("hidden", number),) for number in range(fault.rows or 0)]
            return replace(table, rows=[*table.rows, *more])
        case FaultKind.NUMBERS_AS_TEXT:
            return replace(table, rows=[tuple(map(_as_text, row)) for row in table.rows])
        case _:
            return table


def tampered_text(reply: Reply, fault: Fault) -> Reply:
    """The formatted reply, its text cut."""
    body = b"".join(reply.chunks)
    if fault.kind is FaultKind.CUT_LIST:
        body = body[: len(body) // 2]
    elif fault.kind is FaultKind.UNCLOSED_XML:
        body = body.removesuffix(b"</Results>")
    return replace(reply, chunks=(body,), content_bytes=len(body))


def tampered_plan(planned: ZipPlan, fault: Fault, holding: Holding, catalogue: Catalogue, images: Images) -> ZipPlan:
    """The plan of a ZIP after the fault."""
    kept = fault.images or 0
    match fault.kind:
        case FaultKind.SHORT_ZIP:
            return replace(planned, images=planned.images[:kept], md5_list=None)
        case FaultKind.HALF_IMAGE:
            return _with_half_image(planned, kept)
        case FaultKind.CHANGED_IMAGE:
            return _with_changed_image(planned, kept)
        case FaultKind.NO_MD5_LIST:
            return replace(planned, md5_list=None)
        case FaultKind.LICENSE_ONLY:
            return replace(planned, images=(), md5_list=None)
        case FaultKind.EMPTY_LICENSE:
            return replace(planned, license_text="", images=(), md5_list=None)
        case FaultKind.EMPTY_ZIP:
            return replace(planned, license_text=None, images=(), md5_list=None, others={})
        case FaultKind.WRONG_SERIES:
            return _with_wrong_series(planned, holding, catalogue, images)
        case FaultKind.EXTRA_IMAGE:
            extra = PlannedImage(name=f"{len(planned.images) + 1:08d}.dcm", image=images.uncounted(holding))
            return replace(planned, images=(*planned.images, extra))
        case FaultKind.CASE_COLLISION:
            return renamed(renamed(planned, 0, "image.dcm"), 1, "IMAGE.DCM")
        case FaultKind.SHORT_HASH:
            return replace(planned, images=tuple(replace(one, listed_md5=_unpadded) for one in planned.images))
        case _:
            return _with_first_image(planned, fault)


def _with_first_image(planned: ZipPlan, fault: Fault) -> ZipPlan:
    """Faults of which one bad image is enough."""
    if not planned.images:
        return planned
    first, *others = planned.images
    return replace(planned, images=(*_FIRST_IMAGE[fault.kind](first, fault), *others))


def _duplicate_member(first: PlannedImage, _: Fault) -> Sequence[PlannedImage]:
    return first, first


def _duplicate_image(first: PlannedImage, _: Fault) -> Sequence[PlannedImage]:
    return first, replace(first, name="00099999.dcm")


def _bomb(first: PlannedImage, fault: Fault) -> Sequence[PlannedImage]:
    return (replace(first, content=partial(_inflating, first, fault.size_bytes or 0)),)


def _not_dicom(first: PlannedImage, fault: Fault) -> Sequence[PlannedImage]:
    text = (fault.text or "").encode()
    return (replace(first, content=lambda: iter((text,))),)


_FIRST_IMAGE: Final[Mapping[FaultKind, Callable[[PlannedImage, Fault], Sequence[PlannedImage]]]] = {
    FaultKind.DUPLICATE_MEMBER: _duplicate_member,
    FaultKind.DUPLICATE_IMAGE: _duplicate_image,
    FaultKind.BOMB: _bomb,
    FaultKind.NOT_DICOM: _not_dicom,
    FaultKind.UNSAFE_NAME: lambda first, fault: (replace(first, name=fault.text or ""),),
    FaultKind.WRONG_HASH: lambda first, _: (replace(first, listed_md5=_wrong),),
    FaultKind.BLANK_HASH: lambda first, _: (replace(first, listed_md5=lambda _: ""),),
    FaultKind.WRONG_CRC: lambda first, _: (replace(first, crc_error=1),),
    FaultKind.WRONG_SIZE: lambda first, _: (replace(first, size_error=2),),
}


def _with_half_image(planned: ZipPlan, kept: int) -> ZipPlan:
    """The image at place `kept`, from 1, ends half-way, and the archive never gets beyond it.

    Source: docs/archives.md#failed-downloads.
    """
    sent = list(planned.images[: max(kept, 1)])
    if sent:
        sent[-1] = replace(sent[-1], sent_bytes=sent[-1].image.size_bytes // 2)
    return replace(planned, images=tuple(sent), md5_list=None)


def _with_changed_image(planned: ZipPlan, kept: int) -> ZipPlan:
    """The first image has another last byte, under a valid CRC; what the archive has as its MD5 is true."""
    if not planned.images:
        return planned
    first, *others = planned.images
    changed = (replace(first, content=partial(_with_other_end, first)), *others)
    return replace(planned, images=changed[:kept], md5_list=None) if kept else replace(planned, images=changed)


def _with_other_end(one: PlannedImage) -> Iterator[Buffer]:
    content = b"".join(map(bytes, one.image.chunks()))
    yield content[:-1] + bytes([content[-1] ^ 0xFF])


def _with_wrong_series(planned: ZipPlan, holding: Holding, catalogue: Catalogue, images: Images) -> ZipPlan:
    """The members keep their names, the images come from the next series of the catalogue."""
    uids = list(catalogue.holdings)
    other = catalogue.holdings[uids[(uids.index(holding.series.series_instance_uid) + 1) % len(uids)]]
    swapped = zip(planned.images, images.of(other), strict=False)
    return replace(planned, images=tuple(replace(one, image=image) for one, image in swapped))


def _inflating(first: PlannedImage, size_bytes: int) -> Iterator[Buffer]:
    """The image's own head, then zeros."""
    for chunk in first.image.chunks():
        yield chunk[:size_bytes]
        size_bytes -= min(len(chunk), size_bytes)
        break
    while size_bytes > 0:
        yield memoryview(_ZEROS)[:size_bytes]
        size_bytes -= len(_ZEROS)


def _wrong(md5: str) -> str:
    return md5[:-1] + ("0" if md5[-1] != "0" else "1")


def _unpadded(md5: str) -> str:
    return md5.lstrip("0")


def _as_text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value}.000000"
    return None if value is None else str(value)
