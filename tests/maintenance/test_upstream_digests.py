"""What the archive's own digests say of images that lie here."""

import re
from dataclasses import replace
from random import Random

import pytest

from downloader.completeness import series_digests
from downloader.errors import ArchiveUnreachableError
from downloader.maintenance.upstream_digests import UpstreamComparison, UpstreamStanding, compare_upstream
from downloader.model import Image, Series
from downloader.pacing import Backoff
from downloader.transport.retrying import RetryPolicy
from tests.fakes.clock import turning_clock
from tests.fakes.memory_archive import MemoryArchive
from tests.library.series_streams import md5_of

pytestmark = pytest.mark.anyio

UID = "1.2.3"
CONTENTS = {"1.2.3.1": b"one", "1.2.3.2": b"another"}
IMAGES = [
    Image(name=f"{uid}.dcm", sop_instance_uid=uid, size_bytes=len(content), md5=md5_of(content))
    for uid, content in CONTENTS.items()
]


def archive_of(contents: dict[str, bytes], *, size: bool = True) -> MemoryArchive:
    row = Series(series_instance_uid=UID, image_count=len(contents))
    if size:
        row = replace(row, file_size_bytes=sum(map(len, contents.values())))
    return MemoryArchive(rows=[row], images={UID: dict(contents)})


async def compare(archive: MemoryArchive) -> UpstreamComparison:
    async with turning_clock() as clock:
        retry_policy = RetryPolicy(clock=clock, backoff=Backoff(), attempts=3, draw=Random(1).random)
        return await compare_upstream(UID, IMAGES, 10, archive, retry_policy)


async def test_the_same_digest_proves_every_image() -> None:
    """One question for the whole series; asked again where the archive is unreachable for a while."""
    archive = archive_of(CONTENTS)
    archive.failures = [ArchiveUnreachableError("out")] * 2
    assert await compare(archive) == UpstreamComparison(standing=UpstreamStanding.SAME, matched=2)


async def test_an_archive_that_stays_out_is_an_error() -> None:
    """It says nothing about the images."""
    archive = archive_of(CONTENTS)
    archive.failures = [ArchiveUnreachableError("out")] * 3
    with pytest.raises(ArchiveUnreachableError):
        await compare(archive)


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        ({**CONTENTS, "1.2.3.3": b"new"}, "lists 3 images, the library has 2"),
        ({**CONTENTS, "1.2.3.1": b"longer"}, "lists 13 bytes, the library has 10"),
        ({**CONTENTS, "1.2.3.1": b"two"}, r"image 1\.2\.3\.1 has MD5"),
    ],
)
async def test_a_difference_is_told(contents: dict[str, bytes], sentence: str) -> None:
    """By figures, or by the first image that differs."""
    comparison = await compare(archive_of(contents))
    assert comparison.standing is UpstreamStanding.DIFFERS
    assert re.search(sentence, comparison.sentence)


async def test_a_digest_over_more_than_is_shown_does_not_decide() -> None:
    """It counts hidden images, too (docs/archives.md#md5s): the images decide one by one."""
    archive = archive_of(CONTENTS)
    archive.images[UID]["1.2.3.9"] = b"hidden"
    assert await compare(archive) == UpstreamComparison(standing=UpstreamStanding.SAME, matched=2)


async def test_an_archive_that_does_not_tell_leaves_it_open() -> None:
    """Not listed, or without any MD5."""
    assert (await compare(MemoryArchive())).sentence == "the archive does not list the series"
    archive = archive_of(CONTENTS)
    archive.images = {}
    comparison = await compare(archive)
    assert comparison.standing is UpstreamStanding.UNKNOWN
    assert "no MD5" in comparison.sentence


def test_old_hashes_lack_leading_zeros() -> None:
    """Both ways to write them are known."""
    padded = ["0" * 30 + "ab", "f" * 32]
    assert series_digests(padded) == {md5_of("".join(sorted(padded)).encode()), md5_of(("ab" + "f" * 32).encode())}
