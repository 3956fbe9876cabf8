"""What every implementation of the Source port does, the fake for tests included."""

import zipfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import md5
from io import BytesIO

import pytest

from downloader.archive.port import SeriesSize, StudyNeeds
from downloader.archive.question import Topic
from downloader.errors import AccessDeniedError, ArchiveFaultError, UnexpectedReplyError
from downloader.model import Md5Mode, Series, SeriesQuery
from tests.archive.contract.subjects import (
    COLLECTION,
    DESCRIPTION,
    KINDS,
    MODES,
    PATIENT_ID,
    SERIES,
    STUDY_DATE,
    STUDY_DESCRIPTION,
    STUDY_ID,
    Subject,
    open_subject,
)
from tests.archive.transfers import read_images, read_original

pytestmark = pytest.mark.anyio
CT, MR, PLAN = (held.series_instance_uid for held in SERIES)
UNKNOWN = "1.2.3.4"
STUDY = frozenset({"study_id", "study_date", "study_description"})


@pytest.fixture(params=KINDS)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """Each implementation in turn."""
    async with open_subject(request.param) as opened:
        yield opened


async def ask(subject: Subject, **attributes: str) -> list[str]:
    """The series that a query finds."""
    return sorted([found.series_instance_uid async for found in subject.archive.find_series(SeriesQuery(**attributes))])


async def row_of(subject: Subject, series_instance_uid: str) -> Series:
    """The catalogue's row of one series."""
    (row,) = [found async for found in subject.archive.find_listed_series([series_instance_uid])]
    return row


async def test_collections_are_described(subject: Subject) -> None:
    """In plain text, with the address of the data; nothing where the collection, or the query, is unknown."""
    has_some = Topic.COLLECTION_DESCRIPTIONS in subject.table.queries
    expected = {COLLECTION: DESCRIPTION} if has_some else {}
    assert await subject.archive.find_descriptions([COLLECTION, COLLECTION]) == expected
    assert not any(told.text for told in (await subject.archive.find_descriptions(["none such"])).values())
    assert await subject.archive.find_descriptions([]) == {}
    many = [COLLECTION, *(f"none such {number}" for number in range(9))]
    assert await subject.archive.find_descriptions(many) == expected


async def test_a_row_holds_what_the_catalogue_says(subject: Subject) -> None:
    """Text comes untrimmed and to the letter, figures as numbers, dates as dates."""
    row = await row_of(subject, CT)
    size = sum(map(len, subject.images[CT].values()))
    assert row.series_instance_uid == CT
    assert row.collection == COLLECTION
    assert row.patient_id == PATIENT_ID
    assert row.body_part_examined == "ABDOMEN_PELVIS "
    assert row.manufacturer == '"GE Healthcare", Ünit'
    assert row.series_description == "axial/thin\tµ²"
    assert row.series_number == "1"
    told = subject.table.series.attributes
    assert row.image_count == 3
    assert row.file_size_bytes == (size if "FileSize" in told else None)
    assert row.series_date == date(2021, 3, 4)
    assert row.date_released == (date(2022, 6, 7) if "DateReleased" in told else None)
    submitted = {"MaxSubmissionTimestamp", "TimeStamp"}.intersection(told)
    assert row.submitted_at == (datetime(2022, 5, 6, tzinfo=UTC) if submitted else None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("needs", [StudyNeeds(), StudyNeeds(required=STUDY)], ids=["bare", "with studies"])
async def test_an_archive_knows_what_it_never_tells(kind: str, needs: StudyNeeds) -> None:
    """A choice by that finds nothing, and the user must learn why. The archive itself knows everything of this series."""
    async with open_subject(kind, needs) as subject:
        row = await row_of(subject, CT)
        untold = subject.archive.capabilities.absent_attributes
    chosen_by = {"date_released", "license_name", "license_uri", "study_date", "image_count", "manufacturer", "collection"}
    assert {name for name in chosen_by if not getattr(row, name)} == chosen_by & untold
    told_of_studies = {"study_date"} if needs.all else set()
    in_2013 = {"date_released", "license_name", "license_uri", "study_date"} - told_of_studies
    assert chosen_by & untold == (in_2013 if kind == "bindaas" else set())


async def test_absent_attributes_are_empty(subject: Subject) -> None:
    """The archive leaves out what it does not know."""
    row = await row_of(subject, MR)
    assert (row.body_part_examined, row.manufacturer) == ("", "")


async def test_no_filter_finds_everything(subject: Subject) -> None:
    """Each series once."""
    assert await ask(subject) == sorted([CT, MR, PLAN])


@pytest.mark.parametrize("collection", [COLLECTION, COLLECTION.upper()])
async def test_collections_compare_without_case(subject: Subject, collection: str) -> None:
    """docs/archives.md#parameters."""
    assert await ask(subject, collection=collection) == sorted([CT, MR, PLAN])
    assert await ask(subject, collection=collection, modality="MR") == [MR]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("patient_id", PATIENT_ID),
        ("modality", "CT"),
        ("body_part_examined", "ABDOMEN_PELVIS "),
        ("manufacturer", '"GE Healthcare", Ünit'),
        ("manufacturer_model_name", "Noise 16"),
        ("series_instance_uid", CT),
    ],
)
async def test_every_filter_finds_its_series(subject: Subject, attribute: str, value: str) -> None:
    """Blanks, quotes, commas and letters beyond ASCII are part of the value."""
    rows = [row async for row in subject.archive.find_series(SeriesQuery(**{attribute: value}))]
    assert CT in {row.series_instance_uid for row in rows}
    # what a generation cannot be asked by, the caller looks for in the rows
    if attribute in subject.table.series.filters:
        assert {getattr(row, attribute) for row in rows} == {value}


async def test_what_matches_nothing_finds_nothing(subject: Subject) -> None:
    """An empty reply is no error."""
    assert await ask(subject, collection="No such collection") == []


async def test_an_empty_filter_is_no_filter(subject: Subject) -> None:
    """The archive would look for emptiness (docs/archives.md#parameters)."""
    assert await ask(subject, collection="", modality="CT") == [CT]


async def test_listed_series_are_found_once_each(subject: Subject) -> None:
    """Unknown ones are missing, repeated ones come once."""
    listed = [row async for row in subject.archive.find_listed_series([PLAN, UNKNOWN, CT, PLAN])]
    assert sorted(row.series_instance_uid for row in listed) == sorted([CT, PLAN])
    assert [row async for row in subject.archive.find_listed_series([UNKNOWN])] == []
    assert [row async for row in subject.archive.find_listed_series([])] == []


async def test_own_rows_are_those_of_series_that_the_archive_still_lists(subject: Subject) -> None:
    """Asked for by name or, where the generation knows no names, by their studies."""
    known = [await row_of(subject, CT), await row_of(subject, PLAN)]
    asked = [
        replace(known[0], series_instance_uid=UNKNOWN),
        *known,
        Series(series_instance_uid="1.2.3.5", study_instance_uid="1.2.3.6"),
    ]
    found = await subject.archive.find_own_rows(asked)
    assert sorted(row.series_instance_uid for row in found) == sorted([CT, PLAN])
    assert await subject.archive.find_own_rows([]) == []


async def test_both_queries_tell_the_same(subject: Subject) -> None:
    """A manifest may select by attribute or by list, and the rows must not seem to change for it."""
    by_list = await row_of(subject, CT)
    asked = SeriesQuery(series_instance_uid=CT, study_instance_uid=by_list.study_instance_uid)
    (by_attribute,) = [row async for row in subject.archive.find_series(asked) if row.series_instance_uid == CT]
    # the one attribute that v4 tells by list only, unless more is needed
    assert replace(by_list, study_id="") == replace(by_attribute, study_id="")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("needs", [StudyNeeds(required=STUDY), StudyNeeds(wished=STUDY)], ids=["required", "wished"])
async def test_every_query_tells_of_the_study_what_is_needed(kind: str, needs: StudyNeeds) -> None:
    """By attribute, by study, by series and by list, though few generations' getSeries tell it.

    Source: docs/archives.md#series-queries.
    """
    async with open_subject(kind, needs) as subject:
        by_list = [row async for row in subject.archive.find_listed_series([CT, MR])]
        (study,) = {row.study_instance_uid for row in by_list}
        queries = [
            SeriesQuery(),
            SeriesQuery(collection=COLLECTION.upper(), patient_id=PATIENT_ID, modality="CT"),
            SeriesQuery(study_instance_uid=study),
            SeriesQuery(series_instance_uid=MR, modality="MR"),
        ]
        by_query = [row for query in queries async for row in subject.archive.find_series(query)]
    told = {(row.study_id, row.study_date, row.study_description) for row in (*by_list, *by_query)}
    assert told == {(STUDY_ID, STUDY_DATE, STUDY_DESCRIPTION)}
    assert len(by_list) == 2
    (in_list,) = (row for row in by_list if row.series_instance_uid == MR)
    assert in_list in by_query


async def test_collections_are_named_as_the_archive_spells_them(subject: Subject) -> None:
    """There is one."""
    assert await subject.archive.find_collections() == [COLLECTION]


@pytest.mark.parametrize("mode", MODES)
async def test_a_series_comes_as_its_images(subject: Subject, mode: Md5Mode) -> None:
    """What the source says of them is true: how many there are, their digests by the names that they came under, or none."""
    row = await row_of(subject, CT)
    if not any(route.serves(mode) for route in subject.table.image_routes):
        with pytest.raises(UnexpectedReplyError, match="offers no MD5 list"):
            await subject.archive.open_series(row, mode).__aenter__()
        return
    async with subject.archive.open_series(row, mode) as transfer:
        images = await read_images(transfer)
        evidence = transfer.evidence()
    assert sorted(images.values()) == sorted(subject.images[CT].values())
    assert evidence.announced_images in (None, 3)
    assert evidence.digests_expected == transfer.brings_digests
    assert not (mode is Md5Mode.OFF and transfer.brings_digests)
    hashes = {name: md5(content, usedforsecurity=False).hexdigest() for name, content in images.items()}
    assert (evidence.digests, evidence.digests_flaw) == (hashes if transfer.brings_digests else {}, "")


async def test_a_series_may_come_as_one_file(subject: Subject) -> None:
    """A ZIP with the images in it, where the source says that it has such a file."""
    async with subject.archive.open_series(await row_of(subject, CT), Md5Mode.AUTO) as transfer:
        original = await read_original(transfer)
    if not subject.archive.capabilities.original_bytes:
        assert original == b""
        return
    packed = zipfile.ZipFile(BytesIO(original))
    assert {packed.read(name) for name in packed.namelist()} >= set(subject.images[CT].values())


@pytest.mark.parametrize("mode", MODES)
async def test_a_series_that_is_not_there_is_refused(subject: Subject, mode: Md5Mode) -> None:
    """The error names the series."""
    has_such = any(route.serves(mode) for route in subject.table.image_routes)
    with pytest.raises(AccessDeniedError if has_such else UnexpectedReplyError) as caught:
        async with subject.archive.open_series(Series(series_instance_uid=UNKNOWN), mode):
            pass
    assert caught.value.series_instance_uid == UNKNOWN


async def test_a_shared_cart_names_its_series(subject: Subject) -> None:
    """An unknown name finds no series; in 2013 there were no carts."""
    if Topic.SHARED_CART not in subject.table.queries:
        with pytest.raises(UnexpectedReplyError, match="no shared carts in generation bindaas"):
            await subject.archive.find_shared_cart("nbia-1")
        return
    assert sorted(await subject.archive.find_shared_cart("nbia-1")) == sorted([PLAN, CT])
    assert await subject.archive.find_shared_cart("nbia-2") == []


async def test_images_are_listed_and_come_singly(subject: Subject) -> None:
    """Salvage asks for what is missing."""
    listed = await subject.archive.find_sop_instance_uids(CT)
    if Topic.IMAGES not in subject.table.queries:
        assert listed == []
        return
    assert sorted(listed) == sorted(subject.images[CT])
    for sop_instance_uid, content in subject.images[CT].items():
        async with subject.archive.open_image(CT, sop_instance_uid) as transfer:
            assert await read_images(transfer) == {"": content}


async def test_an_image_that_is_not_there_is_a_fault(subject: Subject) -> None:
    """The archive cannot tell it from a failure of its own (docs/archives.md#image-endpoints)."""
    assert await subject.archive.find_sop_instance_uids(UNKNOWN) == []
    with pytest.raises(ArchiveFaultError if subject.table.single_image else UnexpectedReplyError):
        async with subject.archive.open_image(CT, UNKNOWN):
            pass


async def test_hashes_are_those_of_the_images(subject: Subject) -> None:
    """Of one image, and of a series: the sorted hashes hashed again; empty without any."""
    hashes = {name: md5(content, usedforsecurity=False).hexdigest() for name, content in subject.images[CT].items()}
    for name, digest in hashes.items():
        assert await subject.archive.find_image_md5(name) == (digest if subject.table.image_md5 else "")
    assert await subject.archive.find_image_md5(UNKNOWN) == ""
    of_series = md5("".join(sorted(hashes.values())).encode(), usedforsecurity=False).hexdigest()
    assert await subject.archive.find_series_md5(CT) == (of_series if subject.table.series_md5 else "")
    assert await subject.archive.find_series_md5(UNKNOWN) == ""


async def test_a_size_can_be_asked_apart(subject: Subject) -> None:
    """An unknown series has none."""
    size = sum(map(len, subject.images[CT].values()))
    assert await subject.archive.find_series_size(CT) == SeriesSize(image_count=3, file_size_bytes=size)
    assert await subject.archive.find_series_size(UNKNOWN) == SeriesSize()


async def test_leaving_early_leaves_a_working_archive(subject: Subject) -> None:
    """A body and a query that are not read to the end do not block the next one."""
    row = await row_of(subject, CT)
    for _ in range(20):
        async with subject.archive.open_series(row, Md5Mode.AUTO):
            pass
        async with aclosing(subject.archive.find_series(SeriesQuery())) as rows:
            await anext(rows)
    assert len(await ask(subject)) == 3
