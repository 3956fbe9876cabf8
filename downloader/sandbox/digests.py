"""Hashes over many images: series, study, patient, collection, each from the sorted hashes below it (docs/archives.md#md5s)."""

from collections.abc import Callable, Iterable
from hashlib import md5
from itertools import groupby

from downloader.sandbox.catalogue import Holding
from downloader.sandbox.images import Images


def series_md5(images: Images, held: Iterable[Holding]) -> str:
    """MD5 over the images' hashes of these series, as one."""
    return _joined(images.md5(image) for holding in held for image in images.of(holding))


def study_md5(images: Images, held: Iterable[Holding]) -> str:
    """MD5 over the hashes of a study's series."""
    return _grouped(images, held, lambda holding: holding.series.series_instance_uid, series_md5)


def patient_md5(images: Images, held: Iterable[Holding]) -> str:
    """MD5 over the hashes of a patient's studies."""
    return _grouped(images, held, lambda holding: holding.study.study_instance_uid, study_md5)


def collection_md5(images: Images, held: Iterable[Holding]) -> str:
    """MD5 over the hashes of a collection's patients."""
    return _grouped(images, held, lambda holding: holding.patient.patient_id, patient_md5)


def _grouped(
    images: Images,
    held: Iterable[Holding],
    key: Callable[[Holding], str],
    below: Callable[[Images, Iterable[Holding]], str],
) -> str:
    groups = groupby(sorted(held, key=key), key=key)
    return _joined([below(images, list(group)) for _, group in groups])


def _joined(digests: Iterable[str]) -> str:
    return md5("".join(sorted(digests)).encode(), usedforsecurity=False).hexdigest()
