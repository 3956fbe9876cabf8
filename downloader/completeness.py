"""The rules of docs/completeness.md for a whole series, as pure functions: they return a proof or nothing, or raise.

The checks of a single image (checksum, size, being DICOM) ran while it was received. The rules here need all images at once,
because the archive reports its own failures as HTTP 200 with a well-formed ZIP (docs/archives.md#failed-downloads).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from downloader.errors import (
    DigestMismatchError,
    IncompleteSeriesError,
    NotDicomError,
    UnexpectedReplyError,
    WrongSeriesError,
)
from downloader.model import Identity, Md5Mode, Proof, Series, StagedImage

_ADVICE = "the archive stopped half-way or the series is being changed; it is retried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a source reports about a transfer that ended.

    Attributes:
        announced_images: the number of images that the source announced; None if it announced none.
        digests_expected: every complete transfer of this kind has digests, so that a transfer without them was cut by the source.
        digests: the source's MD5 by image name (`ImageStarted.name`), 32 lower-case hex digits; empty where it has none.
        digests_flaw: why the digests cannot be used: they are absent, something followed them, or they are unreadable. Empty if
            they can be used.
    """

    announced_images: int | None = None
    digests_expected: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)
    digests_flaw: str = ""


@dataclass(frozen=True, slots=True)
class _Digests:
    """How many images matched the archive's MD5, and how many have none there (`unproven` are these images)."""

    matched: int
    blank: int
    unproven: tuple[StagedImage, ...] = ()


def match_catalogue(series: Series, images: tuple[StagedImage, ...]) -> None:
    """Rule 3: the number of images equals ImageCount, and their sizes add up to FileSize if the archive gives it.

    Raises:
        IncompleteSeriesError: they differ from the catalogue row, which may be outdated: read it again before the attempt fails.
    """
    if series.image_count is None:
        raise IncompleteSeriesError(
            f"the archive gives no image count, so it cannot be proven that {len(images)} are all",
            series_instance_uid=series.series_instance_uid,
        )
    if len(images) != series.image_count or not images:
        raise IncompleteSeriesError(
            f"{len(images)} of {series.image_count} images received",
            series_instance_uid=series.series_instance_uid,
            next_step=_ADVICE,
        )
    if series.file_size_bytes is None:
        return
    size_bytes = sum(image.size_bytes for image in images)
    if size_bytes != series.file_size_bytes:
        raise IncompleteSeriesError(
            f"the images hold {size_bytes} bytes, but the catalogue lists {series.file_size_bytes}",
            series_instance_uid=series.series_instance_uid,
            next_step=_ADVICE,
        )


def prove(series: Series, images: tuple[StagedImage, ...], evidence: Evidence, *, md5: Md5Mode) -> Proof:
    """Apply rules 3, 4 and 5 to a whole series.

    Args:
        series: the catalogue row.
        images: the images of one transfer.
        evidence: what the source reports about the transfer.
        md5: the mode that the manifest sets.

    Raises:
        IncompleteSeriesError: images or digests are missing.
        DigestMismatchError: an image differs from its MD5, or has none and `md5` is `require`.
        NotDicomError: our scanner cannot parse an image, and the archive has no MD5 of it.
        WrongSeriesError: an image belongs to another series, or a SOP instance occurs twice.
        UnexpectedReplyError: `md5` is `require` and the archive offers no digests.
    """
    match_catalogue(series, images)
    if evidence.announced_images not in (None, len(images)):
        raise IncompleteSeriesError(
            f"{len(images)} images received, but the reply header announced {evidence.announced_images}",
            series_instance_uid=series.series_instance_uid,
            next_step=_ADVICE,
        )
    _check_identities(series, images)
    has_digests = evidence.digests_expected and md5 is not Md5Mode.OFF
    if has_digests:
        digests = _check_digests(series, images, evidence)
    elif md5 is Md5Mode.REQUIRE:
        raise UnexpectedReplyError(
            "the manifest requires MD5 proof, and this archive offers no MD5 list",
            series_instance_uid=series.series_instance_uid,
            next_step="set download.md5 to auto",
        )
    else:
        digests = _Digests(matched=0, blank=len(images), unproven=images)
    proof = _conclude(series, images, md5=md5, digests=digests)
    return replace(proof, md5_list=has_digests)


def prove_merged(
    series: Series, images: tuple[StagedImage, ...], *, md5: Md5Mode, series_md5: str, image_md5s: Mapping[str, str]
) -> Proof:
    """Apply rules 3, 4 and 5 to images of several attempts, for which there is no MD5 list of one transfer.

    Args:
        series: the current catalogue row.
        images: all images of the series.
        md5: the mode that the manifest sets.
        series_md5: the archive's MD5 over the MD5s of the series; empty if it has none. A match proves all images. A mismatch
            proves nothing, because the archive's MD5 includes images that it hides (docs/archives.md#md5s).
        image_md5s: the archive's MD5 by SOP Instance UID, empty or absent where it has none; used only if `series_md5` does not
            match.

    Raises:
        IncompleteSeriesError: the number or the sizes of the images differ from the catalogue row.
        DigestMismatchError: an image differs from its MD5, or has none and `md5` is `require`.
        NotDicomError: our scanner cannot parse an image, and the archive has no MD5 of it.
        WrongSeriesError: an image belongs to another series, or a SOP instance occurs twice.
    """
    match_catalogue(series, images)
    _check_identities(series, images)
    if md5 is Md5Mode.OFF:
        digests = _Digests(matched=0, blank=len(images), unproven=images)
    elif series_md5 in series_digests(image.md5 for image in images):
        digests = _Digests(matched=len(images), blank=0)
    else:
        digests = _compare_digests(series, ((image, image_md5s.get(image.sop_instance_uid, "")) for image in images))
    proof = _conclude(series, images, md5=md5, digests=digests)
    return replace(proof, merged=True, md5_list=False)


def series_digests(image_md5s: Iterable[str]) -> frozenset[str]:
    """The MD5s that the archive may have for a series with these images: over their MD5s, sorted and joined.

    MD5s older than 2021 may lack leading zeros, and then the MD5 over them was computed without these zeros
    (docs/archives.md#md5s).
    """
    md5s = list(image_md5s)
    return frozenset(
        hashlib.md5("".join(sorted(written)).encode(), usedforsecurity=False).hexdigest()
        for written in (md5s, [md5.lstrip("0") for md5 in md5s])
    )


def _conclude(series: Series, images: tuple[StagedImage, ...], *, md5: Md5Mode, digests: _Digests) -> Proof:
    """Check what the archive's digests did not prove, and return the proof."""
    _refuse_doubtful(series, digests.unproven)
    if md5 is Md5Mode.REQUIRE and digests.blank:
        raise DigestMismatchError(
            f"the archive has no MD5 for {digests.blank} of {len(images)} images, and the manifest requires them",
            series_instance_uid=series.series_instance_uid,
            next_step="set download.md5 to auto",
        )
    if series.file_size_bytes is None and digests.blank:
        _check_ends(series, images)
    return Proof(
        size=series.file_size_bytes is not None,
        md5_images=digests.matched,
        md5_blank=digests.blank,
        identity=Identity.UNREAD if any(image.identity is Identity.UNREAD for image in images) else Identity.READ,
    )


def _refuse_doubtful(series: Series, unproven: Iterable[StagedImage]) -> None:
    """Refuse images that our scanner cannot parse, unless they match the archive's own MD5."""
    for image in unproven:
        if image.doubt:
            raise NotDicomError(image.doubt, series_instance_uid=series.series_instance_uid)


def _check_identities(series: Series, images: tuple[StagedImage, ...]) -> None:
    """Refuse images with another series UID; an image without a readable UID is proven by its digest."""
    for image in images:
        if image.identity is Identity.READ and image.series_instance_uid != series.series_instance_uid:
            raise WrongSeriesError(
                f"the archive sent an image of series {image.series_instance_uid}",
                series_instance_uid=series.series_instance_uid,
            )
    occurrences = Counter(image.sop_instance_uid for image in images)
    repeated = [sop_instance_uid for sop_instance_uid, count in occurrences.items() if count > 1]
    if repeated:
        raise WrongSeriesError(f"image {repeated[0]} was received twice", series_instance_uid=series.series_instance_uid)


def _check_digests(series: Series, images: tuple[StagedImage, ...], evidence: Evidence) -> _Digests:
    """Rule 4: the digests are usable, name exactly the images, and match wherever they are given."""
    if evidence.digests_flaw:
        raise IncompleteSeriesError(evidence.digests_flaw, series_instance_uid=series.series_instance_uid, next_step=_ADVICE)
    by_name = {image.member_name: image for image in images}
    if evidence.digests.keys() != by_name.keys():
        unlisted, absent = by_name.keys() - evidence.digests.keys(), evidence.digests.keys() - by_name.keys()
        raise IncompleteSeriesError(
            f"the MD5 list names {len(absent)} images that were not received and lacks {len(unlisted)} that were",
            series_instance_uid=series.series_instance_uid,
            next_step=_ADVICE,
        )
    return _compare_digests(series, ((by_name[name], md5) for name, md5 in evidence.digests.items()))


def _compare_digests(series: Series, expected: Iterable[tuple[StagedImage, str]]) -> _Digests:
    """Compare each image with the archive's MD5 of it, which is empty if the archive has none."""
    matched = 0
    unproven: list[StagedImage] = []
    for image, md5 in expected:
        if not md5:
            unproven.append(image)
        elif image.md5 == md5:
            matched += 1
        else:
            raise DigestMismatchError(
                f"{image.label} has MD5 {image.md5}, the archive has {md5}",
                series_instance_uid=series.series_instance_uid,
                next_step="it is retried",
            )
    return _Digests(matched=matched, blank=len(unproven), unproven=tuple(unproven))


def _check_ends(series: Series, images: tuple[StagedImage, ...]) -> None:
    """Without FileSize and a full MD5 list, an image must end where its data set does: half an image can have a valid CRC-32."""
    cut = [image for image in images if image.ends_whole is False]
    if cut:
        raise IncompleteSeriesError(
            f"{cut[0].label} ends in the middle of its data ({len(cut)} such images)",
            series_instance_uid=series.series_instance_uid,
            next_step=_ADVICE,
        )
