"""From a manifest to the series that it means, however the archive answers."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from downloader.archive.port import NoteUnreadable
from downloader.errors import ArchiveFaultError, ManifestError
from downloader.manifest import Manifest, load_manifest
from downloader.model import Series, SeriesQuery
from downloader.pacing import Backoff
from downloader.resolving.resolver import EntryMatch, Resolution, Resolver, plan_queries
from downloader.transport.retrying import RetryPolicy
from tests.fakes.clock import turning_clock
from tests.fakes.memory_archive import MemoryArchive

pytestmark = pytest.mark.anyio


def row(number: int, collection: str = "LIDC-IDRI", patient_id: str = "P-1", modality: str = "CT") -> Series:
    return Series(
        series_instance_uid=f"1.2.{number}", collection=collection, patient_id=patient_id, modality=modality, image_count=10
    )


ROWS = [
    row(1),
    row(2, patient_id="P-2"),
    row(3, patient_id="P-2", modality="SEG"),
    row(4, collection="NLST"),
    row(5, collection="LIDC-Extra", modality="MR"),
]


@dataclass
class Asking:
    """Resolves manifests written as text."""

    folder: Path
    archive: MemoryArchive = field(default_factory=lambda: MemoryArchive(rows=list(ROWS)))
    found: list[str] = field(default_factory=list)

    def manifest(self, select: str) -> Manifest:
        path = self.folder / "m.yaml"
        path.write_text(f"version: 1\n{select}")
        return load_manifest(path)

    async def resolve(self, select: str) -> Resolution:
        async def take(archive: str, batch: Sequence[Series]) -> None:
            self.found += [series.series_instance_uid for series in batch]

        async with turning_clock() as clock:
            retry_policy = RetryPolicy(clock=clock, backoff=Backoff(), attempts=3, draw=lambda: 0.0)
            return await Resolver({"tcia": self.archive}, retry_policy).resolve(self.manifest(select), take)


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    return Asking(tmp_path)


@pytest.mark.parametrize(
    ("select", "found"),
    [
        ("select: [{collection: LIDC-IDRI}]", ["1.2.1", "1.2.2", "1.2.3"]),
        ("select: [{collection: lidc-idri, modality: ct}]", ["1.2.1", "1.2.2"]),
        ("select: [{collection: LIDC-*}]", ["1.2.1", "1.2.2", "1.2.3", "1.2.5"]),
        ("select: [{collection: [LIDC-IDRI, NLST], patient_id: P-1}]", ["1.2.1", "1.2.4"]),
        ("select: [{collection: LIDC-IDRI, patient_id: 'P-?'}]\nexclude: [{modality: SEG}]", ["1.2.1", "1.2.2"]),
        ("select: [{modality: MR}]", ["1.2.5"]),
        ("select: [{series_instance_uid: [1.2.5, 1.2.1]}]", ["1.2.1", "1.2.5"]),
        ("select: [{series_instance_uid: [1.2.5, 1.2.1], modality: CT}]", ["1.2.1"]),
        ("select: [{collection: NLST}, {modality: MR}]", ["1.2.4", "1.2.5"]),
    ],
)
async def test_a_manifest_means_the_rows_that_it_matches(asking: Asking, select: str, found: list[str]) -> None:
    """Whatever the archive filters and whatever is filtered here."""
    await asking.resolve(select)
    assert sorted(asking.found) == found


async def test_a_collection_that_does_not_exist_is_the_manifests_mistake(asking: Asking) -> None:
    """With its line and the nearest name; it must not pass for a collection without series."""
    with pytest.raises(ManifestError, match=r"m\.yaml:2: collection: .*did you mean 'LIDC-IDRI'"):
        await asking.resolve("select: [{collection: LIDC-IDR}]")


async def test_an_empty_answer_for_a_collection_that_exists_is_a_doubt(asking: Asking) -> None:
    """The archive answers 200 and nothing when its database fails: asked as often as can be, and then told.

    Source: docs/archives.md#empty-replies.
    """

    class Failing(MemoryArchive):
        async def find_collections(self) -> Sequence[str]:
            return ["LIDC-IDRI"]

    asking.archive = Failing()
    resolution = await asking.resolve("select: [{collection: LIDC-IDRI}]")
    assert "lists no series" in resolution.doubts["tcia"][0]
    assert not resolution.is_whole


async def test_an_archive_without_collections_is_a_fault(asking: Asking) -> None:
    """Nothing is never taken for nothing to do."""
    asking.archive = MemoryArchive()
    with pytest.raises(ArchiveFaultError, match="lists no collections"):
        await asking.resolve("select: [{collection: LIDC*}]")


async def test_a_fault_that_passes_is_asked_again(asking: Asking) -> None:
    """The rows come all the same."""
    asking.archive.failures = [ArchiveFaultError("500"), ArchiveFaultError("500")]
    await asking.resolve("select: [{collection: NLST}]")
    assert asking.found == ["1.2.4"]


async def test_an_entry_that_matches_nothing_is_said(asking: Asking) -> None:
    """With the entry as it stands."""
    resolution = await asking.resolve("select: [{collection: NLST, modality: PT}, {collection: NLST}]")
    assert [entry.matched for entry in resolution.entries] == [0, 1]
    why = "the archive lists no series with collection NLST, modality PT"
    assert resolution.warnings == [f"no series match collection NLST, modality PT: {why}"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("collection: LIDC-IDRI, manufacturer: nobody", "of 3 series with collection LIDC-IDRI none has manufacturer nobody"),
        ("manufacturer: nobody", "of 5 series none has manufacturer nobody"),
        (
            "collection: LIDC-IDRI, modality: [SEG, PT], image_count: {min: 20}",
            "of 1 series with collection LIDC-IDRI, modality SEG or PT none has image_count 20 or more",
        ),
        (
            "collection: LIDC-IDRI, patient_id: P-9, license: CC*",
            "the archive lists no series with collection LIDC-IDRI, patient_id P-9",
        ),
        ("collection: X*, modality: CT", "the archive lists no series with collection X*, modality CT"),
        ("modality: [PT, NM]", "of 5 series none has modality PT or NM"),
        (
            "series_instance_uid: [1.2.1, 1.2.2, 1.2.77], patient_id: P-2, modality: MR",
            "of 1 series that it names with patient_id P-2 none has modality MR",
        ),
        ("series_instance_uid: [1.2.77], modality: MR", "the archive lists none of the series that it names"),
    ],
)  # fmt: skip
async def test_why_nothing_fits_is_true_of_the_archive(asking: Asking, entry: str, reason: str) -> None:
    """Keys narrow one after the other, and the one that leaves nothing is named; there is no other word on the values then."""
    (found,) = (await asking.resolve(f"select: [{{{entry}}}]")).entries
    assert (found.reason, found.unmatched) == (reason, {})


async def test_a_query_that_was_repeated_counts_once(asking: Asking) -> None:
    """Rows of an answer that broke off are no rows."""

    class Breaking(MemoryArchive):
        async def find_series(self, query: SeriesQuery, note: NoteUnreadable | None = None) -> AsyncGenerator[Series, None]:
            async for found in super().find_series(query, note):
                yield found
            if len(self.queries) == 1:
                raise ArchiveFaultError("the reply broke off")

    asking.archive = Breaking(rows=list(ROWS))
    (found,) = (await asking.resolve("select: [{collection: LIDC-IDRI, manufacturer: nobody}]")).entries
    assert (found.listed, found.reason) == (3, "of 3 series with collection LIDC-IDRI none has manufacturer nobody")


@pytest.mark.parametrize(
    ("keys", "untold"),
    [
        ("date_released: {from: 2020-01-01}", "date_released"),
        ("license: CC*, date_released: {to: 2020-01-01}", "license and date_released"),
        ("modality: CT, license: [x, '?*']", "license"),
    ],
)
async def test_a_choice_by_what_the_archive_never_tells_is_said(asking: Asking, keys: str, untold: str) -> None:
    """It matches nothing, in select and in exclude: that is no news about the series, but about the archive."""
    asking.archive.lacks("date_released", "license_name", "license_uri")
    resolution = await asking.resolve(f"select: [{{collection: NLST, {keys}}}, {{collection: NLST}}]\nexclude: [{{{keys}}}]")
    assert (resolution.entries[0].reason, resolution.entries[1].reason) == (f"memory does not provide {untold}", "")
    assert [warning.partition(": ")[2] for warning in resolution.warnings] == [f"memory does not provide {untold}"] * 2
    assert resolution.warnings[1].startswith("exclude removes nothing from memory by ")
    assert asking.found == ["1.2.4"]


async def test_a_star_fits_what_the_archive_does_not_tell(asking: Asking) -> None:
    """As it fits any series whose attribute is absent."""
    asking.archive.lacks("license_name", "license_uri")
    resolution = await asking.resolve("select: [{collection: NLST, license: '*'}]")
    assert (asking.found, resolution.warnings) == (["1.2.4"], [])


async def test_nlst_on_another_host_is_hinted_at(asking: Asking) -> None:
    """Its collection, and series that may be of it."""
    asking.archive.rows = ROWS[:3]
    with pytest.raises(ManifestError, match="has no collection 'nlst'; NLST has its own host: set archive: nlst"):
        await asking.resolve("select: [{collection: nlst}]")
    asking.archive.name = "tcia"
    resolution = await asking.resolve("select: [{series_instance_uid: [1.2.1, 1.2.99]}]")
    assert resolution.warnings == [
        "tcia does not list 1 of the series that the manifest names; NLST has its own host: archive: nlst"
    ]


async def test_series_that_the_archive_does_not_list_are_named(asking: Asking) -> None:
    """They are wanted all the same: an attempt will tell why they cannot be had."""
    resolution = await asking.resolve("select: [{series_instance_uid: [1.2.1, 1.2.99]}]")
    assert resolution.unlisted() == {"memory": ["1.2.99"]}
    assert asking.found == ["1.2.1"]


async def test_series_that_many_entries_name_are_asked_for_once(asking: Asking) -> None:
    """In one question, however many entries there are; each entry tells what it met."""
    entries = ", ".join(f"{{series_instance_uid: 1.2.{number % 5 + 1}, modality: [CT, MR]}}" for number in range(1000))
    resolution = await asking.resolve(f"select: [{entries}, {{series_instance_uid: 1.2.99}}]")
    assert asking.archive.asked_by_name == [["1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.5", "1.2.99"]]
    assert sorted(asking.found) == ["1.2.1", "1.2.2", "1.2.4", "1.2.5"]
    assert [entry.matched for entry in resolution.entries[:6]] == [1, 1, 0, 1, 1, 1]
    assert [entry.listed for entry in resolution.entries] == [*[1] * 1000, 0]
    assert resolution.unlisted() == {"memory": ["1.2.99"]}


async def test_several_patients_of_a_collection_are_counted_together(asking: Asking) -> None:
    """One question for the counts, whatever the number of patients, and two lists."""
    asking.archive.rows = [replace(one, study_instance_uid=f"1.9.{number}") for number, one in enumerate(ROWS)]
    await asking.resolve("select: [{collection: LIDC-IDRI, patient_id: [P-1, P-2]}]")
    assert len(asking.archive.queries) == 2
    assert asking.archive.counted == [SeriesQuery(collection="LIDC-IDRI")]


async def test_each_entry_tells_what_it_met_and_what_not(asking: Asking) -> None:
    """Rows that came, were wanted or excluded, and the values that no series had."""
    resolution = await asking.resolve(
        "select:\n"
        "  - {collection: LIDC-IDRI, patient_id: [P-1, P-2, P-9, 'Q*']}\n"
        "  - {series_instance_uid: [1.2.4, 1.2.99], modality: MR}\n"
        "exclude: [{modality: SEG}]"
    )
    assert resolution.entries == [
        EntryMatch(archive="memory", listed=3, matched=2, excluded=1, unmatched={"patient_id": ("P-9", "Q*")}),
        EntryMatch(
            archive="memory",
            listed=1,
            matched=0,
            excluded=0,
            unmatched={},
            unlisted=("1.2.99",),
            reason="of 1 series that it names none has modality MR",
        ),
    ]


async def test_what_exclude_takes_away_whole_is_said_so(asking: Asking) -> None:
    """The entry itself is not to blame."""
    resolution = await asking.resolve("select: [{collection: NLST}]\nexclude: [{modality: CT}]")
    assert resolution.warnings == ["exclude removes all series that match collection NLST"]


async def test_each_entry_asks_its_own_archive(tmp_path: Path) -> None:
    """What the sink gets says where it is to be had."""
    main = MemoryArchive(rows=[row(1)], name="tcia")
    other = MemoryArchive(rows=[row(2, collection="NLST")], name="nlst")
    found: list[tuple[str, str]] = []

    async def take(archive: str, batch: Sequence[Series]) -> None:
        found.extend((archive, series.series_instance_uid) for series in batch)

    manifest = Asking(tmp_path).manifest(
        "select: [{collection: LIDC-IDRI}, {collection: NLST, archive: nlst}, {series_instance_uid: 1.2.9, archive: nlst}]"
    )
    async with turning_clock() as clock:
        retry_policy = RetryPolicy(clock=clock, backoff=Backoff(), attempts=3, draw=lambda: 0.0)
        resolution = await Resolver({"tcia": main, "nlst": other}, retry_policy).resolve(manifest, take)
    assert found == [("tcia", "1.2.1"), ("nlst", "1.2.2")]
    assert resolution.unlisted() == {"nlst": ["1.2.9"]}


async def test_a_shared_cart_stands_for_its_series(asking: Asking) -> None:
    """Together with those that the entry lists; other keys narrow both. What the cart holds is what the manifest wants."""
    asking.archive.carts = {"nbia-1": ["1.2.2", "1.2.3", "1.2.98"], "nbia-2": ["1.2.4"]}
    resolution = await asking.resolve(
        "select: [{shared_cart: [nbia-1, nbia-2], series_instance_uid: 1.2.5, modality: [CT, MR]}, {collection: NLST}]"
    )
    assert asking.found == ["1.2.5", "1.2.2", "1.2.4", "1.2.4"]
    assert resolution.unlisted() == {"memory": ["1.2.98"]}
    assert [series.series_instance_uid for series in ROWS if resolution.manifest.wants(series)] == ["1.2.2", "1.2.4", "1.2.5"]


async def test_a_cart_that_nobody_knows_is_the_manifests_mistake(asking: Asking) -> None:
    """It must not pass for an entry without limits, nor for one that wants nothing."""
    manifest = asking.manifest("select: [{shared_cart: nbia-3}]")
    assert not any(map(manifest.wants, ROWS))
    with pytest.raises(ManifestError, match=r"m\.yaml:2: shared_cart: memory has no cart 'nbia-3', or no series in it; check"):
        await asking.resolve("select: [{shared_cart: nbia-3}, {collection: NLST}]")
    assert asking.found == []


ANNOTATED = (
    "1 of the series of cart.tcia have annotation files, which the cart asks for (includeAnnotation); "
    "tciad mirrors images and does not fetch them"
)
FOR_AN_ACCOUNT = (
    "cart.tcia was made for an account (its databasketId ends in -x), and no account is configured for memory: "
    "if series are refused, name the list in a manifest with archive.auth"
)
SIGNED_IN = "archive: {base_url: 'https://nbia.cancerimagingarchive.net/nbia-api/services', auth: {}}\n"


@pytest.mark.parametrize(
    ("header", "archive", "warnings"),
    [
        ("includeAnnotation=true", "", [ANNOTATED]),
        ("includeAnnotation=false", "", []),
        ("databasketId=manifest-1-x.tcia", "", [FOR_AN_ACCOUNT]),
        ("databasketId=manifest-1-x.tcia", SIGNED_IN, []),
    ],
)
async def test_what_a_cart_expects_in_vain_is_said(asking: Asking, header: str, archive: str, warnings: list[str]) -> None:
    """Annotations only where a series has some; an account only where there is no sign-in."""
    asking.archive.rows = [row(1), replace(row(2), annotations_flag="true"), replace(row(3), annotations_flag="false")]
    (asking.folder / "cart.tcia").write_text(f"{header}\nListOfSeriesToDownload=\n1.2.1\n1.2.2\n1.2.3\n")
    resolution = await asking.resolve(f"{archive}select: [{{series_list: cart.tcia}}]")
    assert resolution.warnings == warnings


def test_exact_values_are_asked_and_globs_are_not(asking: Asking) -> None:
    """One query per patient while they are few; a glob, or many, cost one query for the collection."""
    few = asking.manifest("select: [{collection: C, patient_id: [a, b], modality: ct}]").select[0]
    assert plan_queries(few, "C") == [
        SeriesQuery(collection="C", patient_id="a", modality="CT"),
        SeriesQuery(collection="C", patient_id="b", modality="CT"),
    ]
    glob = asking.manifest("select: [{collection: C, patient_id: 'a*'}]").select[0]
    assert plan_queries(glob, "C") == [SeriesQuery(collection="C")]
    names = ", ".join(f"p{number}" for number in range(50))
    many = asking.manifest(f"select: [{{collection: C, patient_id: [{names}]}}]").select[0]
    assert plan_queries(many, "C") == [SeriesQuery(collection="C")]
