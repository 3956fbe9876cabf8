"""Traps of the listings: what the archive says of itself is asked again, compared, and never taken for less than it was."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from downloader.config.options import RunOptions
from downloader.errors import ArchiveFaultError
from downloader.manifest import PROFILES, ApiGeneration, ArchiveAddress, Selection, load_manifest
from downloader.sandbox import (
    EVERY,
    LISTED_ONLY,
    PUBLIC,
    Fault,
    FaultKind,
    SandboxSeries,
    builtin_catalogue,
    catalogue_of,
    generated_series,
)
from tests.faults.scene import open_scene

pytestmark = pytest.mark.anyio
V1, V4 = ApiGeneration.V1, ApiGeneration.V4
GENERATIONS = [V4, V1]
LISTS = ("getSeries", "getCollectionValues")


def series(seed: int, images: int = 2, **attributes: object) -> SandboxSeries:
    """A series of a few kilobytes."""
    return replace(generated_series(seed=seed, images=images, rows=32, columns=32), **attributes)  # type: ignore[arg-type]


async def assert_resolved_later(root: Path, fault: Fault, api: ApiGeneration = V4) -> None:
    """The listing is asked again until it is sound; then everything is fetched."""
    async with open_scene(root, fault) as scene:
        scene.assert_complete(await scene.run(api))
        assert scene.sandbox.faults.struck(fault.kind) == fault.times
        assert scene.clock.slept


async def assert_unresolved(root: Path, fault: Fault, says: str, api: ApiGeneration = V4) -> None:
    """A listing that stays broken ends the run with an error, and what was complete before stays so."""
    async with open_scene(root) as scene:
        scene.assert_complete(await scene.run(api))
        scene.sandbox.faults.add(fault)
        with pytest.raises(ArchiveFaultError, match=says):
            await scene.run(api)
        scene.assert_nothing_wrong()
        assert scene.receipts().keys() == scene.sandbox.catalogue.holdings.keys()
        scene.sandbox.faults.clear()
        report = await scene.run(api)
        scene.assert_complete(report)
        assert (report.already_complete, report.tally.withdrawn) == (2, 0)


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("endpoint", LISTS)
async def test_an_empty_reply_is_asked_again(tmp_path: Path, api: ApiGeneration, endpoint: str) -> None:
    """Trap 7: 200 without a body means "none" and "the database failed" alike."""
    await assert_resolved_later(tmp_path, Fault(kind=FaultKind.EMPTY, endpoints=(endpoint,), times=2), api)


async def test_a_reply_that_stays_empty_is_no_proof_of_nothing(tmp_path: Path) -> None:
    """Trap 7: the run fails, nothing is withdrawn, and the library is as it was."""
    await assert_unresolved(tmp_path, Fault(kind=FaultKind.EMPTY, endpoints=("getCollectionValues",)), "lists no")


@pytest.mark.parametrize("api", GENERATIONS)
async def test_empty_rows_are_no_rows(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 8: `[{}]` is as empty as nothing."""
    await assert_resolved_later(tmp_path, Fault(kind=FaultKind.EMPTY_ROWS, times=1), api)


@pytest.mark.parametrize("api", GENERATIONS)
async def test_absent_attributes_are_no_fault(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 8: rows lack what the archive does not know."""
    bare = series(
        1,
        body_part_examined=None,
        manufacturer=None,
        series_description=None,
        series_number=None,
        series_date=None,
        date_released=None,
        submitted_at=None,
    )
    async with open_scene(tmp_path, catalogue=catalogue_of([bare])) as scene:
        scene.assert_complete(await scene.run(api))


@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_cut_list_is_asked_again(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 9: a list without its end is a fault, whatever rows came before."""
    await assert_resolved_later(tmp_path, Fault(kind=FaultKind.CUT_LIST, endpoints=("getSeries",), times=2), api)


async def test_a_list_that_stays_cut(tmp_path: Path) -> None:
    """Trap 9: no series is withdrawn because of it."""
    await assert_unresolved(tmp_path, Fault(kind=FaultKind.CUT_LIST, endpoints=("getSeries",)), "is truncated")


@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_list_that_is_silently_short_withdraws_nothing(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 9: it is well-formed, so the loss itself is what gives it away."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run(api))
        scene.sandbox.faults.add(Fault(kind=FaultKind.SHORT_LIST, rows=1, endpoints=("getSeries",)))
        report = await scene.run(api)
        assert (report.outcome, report.exit_code, report.tally.withdrawn) == ("incomplete", 3, 0)
        assert "max_shrink" in report.warnings[-1]
        assert len(scene.receipts()) == 2
        scene.sandbox.faults.clear()
        scene.assert_complete(await scene.run(api))


async def test_filters_are_spelled_as_the_archive_knows_them(tmp_path: Path) -> None:
    """Trap 10: v1 passes over what it does not know. tests/archive shows that rows which do not fit a filter are refused."""
    wanted = Selection(position="m:1", values={"collection": ("Sandbox",), "patient_id": ("SB-0001",), "modality": ("CT",)})
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run(V1, select=[wanted]))
        (asked,) = [request.parameters for request in scene.sandbox.requests if request.endpoint == "getSeries"]
        assert asked.keys() == {"Collection", "PatientID", "Modality"}


async def test_no_request_has_a_parameter_that_v4_refuses(tmp_path: Path) -> None:
    """Trap 11: the sandbox refuses them as v4 does."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        assert not scene.clock.slept


async def test_an_older_v4_that_refuses_include_md5(tmp_path: Path) -> None:
    """Trap 11: the next best way is taken, and no attempt is lost."""
    async with open_scene(tmp_path, include_md5=False) as scene:
        scene.assert_complete(await scene.run(options=RunOptions(attempts=1)))
        assert {receipt.proof.md5_images for _, receipt in scene.receipts().values()} == {4, 3}


@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_catalogue_that_miscounts_once(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 21: the count is asked again before the images are doubted; no second download."""
    async with open_scene(tmp_path) as scene:
        scene.sandbox.faults.add(
            Fault(kind=FaultKind.RECOUNTED, images=9, endpoints=("getSeries",), series_instance_uid=scene.victim, times=1)
        )
        scene.assert_complete(await scene.run(api))
        assert scene.sandbox.count(series_instance_uid=scene.victim, endpoint="getImage") <= 1


@pytest.mark.parametrize("images", [1, 9])
async def test_a_catalogue_that_always_miscounts(tmp_path: Path, images: int) -> None:
    """Trap 21: more or fewer images than the catalogue says are never complete."""
    async with open_scene(tmp_path) as scene:
        scene.sandbox.faults.add(
            Fault(kind=FaultKind.RECOUNTED, images=images, endpoints=(EVERY,), series_instance_uid=scene.victim)
        )
        scene.assert_failed(await scene.run(), "IncompleteSeriesError")


async def test_a_series_that_is_recurated_between_listing_and_download(tmp_path: Path) -> None:
    """Trap 21: the archive holds one image more by now, and says so when it is asked again."""
    before, after = catalogue_of([series(1, 2), series(2)]), catalogue_of([series(1, 3), series(2)])
    async with open_scene(tmp_path, catalogue=before) as scene:
        scene.sandbox.replace_catalogue(after)
        listed_before = Fault(
            kind=FaultKind.RECOUNTED, images=2, endpoints=("getSeries",), series_instance_uid=scene.victim, times=1
        )
        scene.sandbox.faults.add(listed_before)
        scene.assert_complete(await scene.run())


async def test_a_series_that_is_withdrawn_between_listing_and_download(tmp_path: Path) -> None:
    """Trap 21: it fails with a reason; the others do not notice, and nothing complete is touched."""
    async with open_scene(tmp_path) as scene:
        told_before = ("getCollectionValues", "getSeries", "getPatientStudy")
        scene.sandbox.faults.add(
            Fault(kind=FaultKind.WITHDRAWN, series_instance_uid=scene.victim, after=len(told_before), endpoints=(EVERY,))
        )
        scene.assert_failed(await scene.run(), "AccessDeniedError", "SeriesWithdrawnError")


async def test_a_new_version_of_a_complete_series_replaces_it(tmp_path: Path) -> None:
    """Trap 21: figures that differ from the receipt make it wanted again, and the new folder replaces the old one whole."""
    async with open_scene(tmp_path, catalogue=catalogue_of([series(1, 2), series(2)])) as scene:
        scene.assert_complete(await scene.run())
        scene.sandbox.replace_catalogue(catalogue_of([series(1, 3), series(2)]))
        report = await scene.run()
        scene.assert_complete(report)
        assert (report.completed, report.already_complete) == (1, 1)


@pytest.mark.parametrize("api", GENERATIONS)
async def test_images_that_are_listed_and_never_sent(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 22: ImageCount decides; getSOPInstanceUIDs may list more, also to an attempt that asks for missing images."""
    hidden = Fault(kind=FaultKind.HIDDEN_IMAGES, rows=3)
    async with open_scene(tmp_path, hidden, Fault(kind=FaultKind.CUT, at_bytes=20_000, times=1)) as scene:
        scene.assert_complete(await scene.run(api))


async def test_both_generations_tell_the_same_dates(tmp_path: Path) -> None:
    """Trap 23: each writes them in its own way; receipts agree."""
    dates = []
    for api in GENERATIONS:
        (tmp_path / api).mkdir()
        async with open_scene(tmp_path / api) as scene:
            scene.assert_complete(await scene.run(api))
            told = [receipt.series for _, receipt in scene.receipts().values()]
            dates.append({(one.series_instance_uid, one.series_date, one.date_released) for one in told})
    assert dates[0] == dates[1]
    assert all(day for row in dates[0] for day in row)


@pytest.mark.parametrize("api", GENERATIONS)
async def test_numbers_as_text(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 24: "4.000000" images are 4, and their sizes prove as much."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.NUMBERS_AS_TEXT)) as scene:
        scene.assert_complete(await scene.run(api))
        assert all(receipt.proof.size for _, receipt in scene.receipts().values())


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("patient_id", ["Ä 1 ", ' "quoted"', "a,b|c", "50% & more+", "tab\there", "日本"])
async def test_values_that_must_not_be_trimmed(tmp_path: Path, api: ApiGeneration, patient_id: str) -> None:
    """Trap 25: blanks, quotes, commas, bars and other scripts reach the filter as they are."""
    wanted = Selection(position="m:1", values={"collection": ("Sandbox, »A|B« ",), "patient_id": (patient_id,)})
    catalogue = catalogue_of([series(1), series(2)], collection="Sandbox, »A|B« ", patient_id=patient_id)
    async with open_scene(tmp_path, catalogue=catalogue) as scene:
        scene.assert_complete(await scene.run(api, select=[wanted]))
        rows = csv.DictReader(io.StringIO((scene.library / "metadata.csv").read_text(encoding="utf-8"), newline=""))
        assert {row["Subject ID"] for row in rows} == {patient_id}


@pytest.mark.parametrize("api", GENERATIONS)
async def test_lists_are_asked_as_json(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 26: CSV and XML have flaws that cannot be seen; JSON is what v1 and v4 give unasked.

    Source: docs/archives.md#json-replies.
    """
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run(api))
        formats = {tuple(request.parameters.get("format", ["json"])) for request in scene.sandbox.requests}
        assert formats == {("json",)}


def test_a_cart_of_the_servlet_is_fetched_from_the_api(tmp_path: Path) -> None:
    """Trap 30: the servlet and its TAR are never used; a cart's address leads to the API of the same host."""
    cart = tmp_path / "cart.tcia"
    cart.write_text(
        "downloadServerUrl=https://nlst.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet\n"
        "includeAnnotation=true\nnoOfrRetry=4\ndatabasketId=x.tcia\nmanifestVersion=3.0\nListOfSeriesToDownload=\n1.2.3\n"
    )
    assert load_manifest(cart).archive == PROFILES["nlst"]


def test_stale_generations_are_asked_only_by_name() -> None:
    """Trap 32: the 2013 API may answer with collections of years ago; no default leads to it, and its profiles say so."""
    assert {name for name, profile in PROFILES.items() if profile.api is not V4} == {"tcia-2013", "tcia-2013-test"}
    assert PROFILES["tcia"].api is V4
    assert ArchiveAddress(base_url="https://archive.example/nbia-api/services").api is V4


async def test_a_series_that_is_listed_and_refused(tmp_path: Path) -> None:
    """Trap 33: a few attempts, then it fails by name; everything else is complete.

    getSeries hides such a series, getSeriesMetadata does not.
    """
    catalogue = catalogue_of([series(1, visibility=LISTED_ONLY), series(2)])
    async with open_scene(tmp_path, catalogue=catalogue) as scene:
        by_name = Selection(position="m:1", series_instance_uids=(scene.victim, scene.neighbour))
        message = scene.assert_failed(await scene.run(select=[by_name]), "AccessDeniedError")
        assert "may be private, withdrawn" in message


@pytest.mark.parametrize("endpoint", LISTS)
@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_sentence_in_place_of_json(tmp_path: Path, api: ApiGeneration, endpoint: str) -> None:
    """Trap 35: labelled JSON with status 200; asked again."""
    await assert_resolved_later(tmp_path, Fault(kind=FaultKind.UNMAPPABLE, endpoints=(endpoint,), times=2), api)


async def test_a_sentence_that_stays(tmp_path: Path) -> None:
    """Trap 35: the run ends with what the archive said."""
    await assert_unresolved(tmp_path, Fault(kind=FaultKind.UNMAPPABLE), "Unable to map to JSON")


@pytest.mark.parametrize("api", GENERATIONS)
async def test_everything_that_the_builtin_catalogue_has_of_oddities(tmp_path: Path, api: ApiGeneration) -> None:
    """Traps 8, 25: absent attributes, odd texts, no instance numbers, six transfer syntaxes."""
    async with open_scene(tmp_path, catalogue=builtin_catalogue()) as scene:
        report = await scene.run(api)
        assert (report.outcome, report.failures) == ("complete", ())
        public = {uid for uid, holding in scene.sandbox.catalogue.holdings.items() if holding.series.visibility == PUBLIC}
        assert scene.receipts().keys() == public


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("told", ["../../../etc/passwd", "1.2.3 ", "1.2.3.", ""])
async def test_a_broken_row_hides_no_other_and_is_told(tmp_path: Path, api: ApiGeneration, told: str) -> None:
    """An invalid UID: the row is quoted with its blanks, the run ends with 3, and the other series is complete."""
    async with open_scene(tmp_path) as scene:
        scene.sandbox.faults.add(Fault(kind=FaultKind.BAD_UID, text=told, series_instance_uid=scene.victim))
        report = await scene.run(api)
        assert (report.outcome, report.exit_code, report.tally.complete) == ("incomplete", 3, 1)
        assert scene.receipts().keys() == {scene.neighbour}
        (warning,) = report.warnings
        assert f'SeriesInstanceUID is "{told}"' in warning if told else "no SeriesInstanceUID" in warning
        assert warning.startswith("1 rows of ")
