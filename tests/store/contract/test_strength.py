"""What the store knows of the strength of proofs."""

from dataclasses import replace

import pytest

from downloader.model import Digests, Proof
from downloader.store.port import Store
from downloader.store.records import ProofGroup
from tests.store.examples import ARCHIVE, claim, enqueue, folder_of, receipt, series, uid

pytestmark = pytest.mark.anyio
ALL = Proof(size=True, md5_images=3, md5_blank=0, md5_list=True)
BLANKS = Proof(size=True, md5_images=2, md5_blank=1, md5_list=True)
NONE = Proof(size=True, md5_images=0, md5_blank=3, md5_list=False)
PARTS = Proof(size=True, md5_images=3, md5_blank=0, merged=True, md5_list=False)


async def complete(store: Store, *proofs: Proof, manifest: str = "m") -> None:
    """One series for each proof, from 1."""
    await enqueue(store, manifest, *(series(number) for number in range(1, len(proofs) + 1)))
    for held, proof in zip(await claim(store, manifest), proofs, strict=True):
        await store.complete(held, replace(receipt(held.series), proof=proof), folder_of(held))


async def weak(store: Store, manifest: str | None = None) -> list[str]:
    """The series that are proven by less than all digests."""
    return [row.series.series_instance_uid async for row in store.find_weak(manifest)]


async def test_a_complete_series_has_the_strength_of_its_receipt(store: Store) -> None:
    """With whether a list came."""
    await complete(store, ALL, BLANKS, NONE, PARTS)
    rows = await store.find_named([uid(number) for number in range(1, 5)])
    assert [(row.digests, row.came_with_list) for row in rows] == [
        (Digests.ALL, True),
        (Digests.SOME, True),
        (Digests.NONE, False),
        (Digests.ALL, False),
    ]


async def test_the_weak_are_counted_and_found(store: Store) -> None:
    """Those of a manifest, or all."""
    await complete(store, NONE, ALL, BLANKS)
    await enqueue(store, "other", series(1), series(2))
    groups = [
        ProofGroup(archive=ARCHIVE, digests=Digests.NONE, came_with_list=False, series=1),
        ProofGroup(archive=ARCHIVE, digests=Digests.SOME, came_with_list=True, series=1),
    ]
    assert await store.proof_groups() == groups
    assert await store.proof_groups("other") == groups[:1]
    assert await weak(store) == [uid(1), uid(3)]
    assert await weak(store, "other") == [uid(1)]
    assert await weak(store, "nothing") == []
    assert [row.series.series_instance_uid async for row in store.find_weak(with_list=False)] == [uid(1)]
    assert [row async for row in store.find_unknown_proofs()] == []


async def test_what_is_complete_no_longer_is_not_counted(store: Store) -> None:
    """It will have a proof of its own when it comes again."""
    await complete(store, NONE)
    await store.reopen([uid(1)], message="")
    assert (await store.proof_groups(), await weak(store)) == ([], [])


async def test_a_strength_can_be_noted_later(store: Store) -> None:
    """Of complete series; others are passed over, known or not."""
    await complete(store, NONE, NONE)
    await store.reopen([uid(2)], message="")
    await store.note_proofs([(uid(1), ALL), (uid(2), ALL), (uid(9), ALL)])
    rows = await store.find_named([uid(1), uid(2)])
    assert [(row.digests, row.came_with_list) for row in rows] == [(Digests.ALL, True), (Digests.NONE, False)]
    assert await weak(store) == []


async def test_an_archive_that_sent_a_list_is_known(store: Store) -> None:
    """By any of its series; digests that came otherwise are no list."""
    await complete(store, NONE, PARTS)
    assert not await store.sent_md5_lists(ARCHIVE)
    await store.note_proofs([(uid(2), BLANKS)])
    assert await store.sent_md5_lists(ARCHIVE)
    assert not await store.sent_md5_lists("another")


async def test_a_store_of_receipts_knows_strengths(store: Store) -> None:
    """A rebuilt one, too."""
    await store.restore([(replace(receipt(series(1)), proof=NONE), "a"), (replace(receipt(series(2)), proof=ALL), "b")])
    assert await weak(store) == [uid(1)]
    assert await store.sent_md5_lists(ARCHIVE)
