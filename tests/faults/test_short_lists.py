"""Lists that are empty or short without a sign, unreadable rows, and collections without series: one bad thing hides no other."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from downloader.engine.mirror import QUERY_ATTEMPTS
from downloader.errors import ArchiveFaultError
from downloader.manifest import ApiGeneration, Selection
from downloader.sandbox import (
    Catalogue,
    Fault,
    FaultKind,
    SandboxCollection,
    SandboxPatient,
    SandboxSeries,
    generated_series,
    study_of,
)
from tests.faults.scene import open_scene

pytestmark = pytest.mark.anyio
V1, V4, BINDAAS = ApiGeneration.V1, ApiGeneration.V4, ApiGeneration.BINDAAS
GENERATIONS = [V4, V1, BINDAAS]
HIDDEN = 0


def series(seed: int, **attributes: object) -> SandboxSeries:
    """A series of one small image."""
    return replace(generated_series(seed=seed, images=1, rows=16, columns=16), **attributes)  # type: ignore[arg-type]


def uid(seed: int) -> str:
    return series(seed).series_instance_uid


def patient(name: str, *of: SandboxSeries) -> SandboxPatient:
    """A patient whose series are each a study."""
    return SandboxPatient(
        patient_id=name, studies=tuple(study_of(one, seed=number) for number, one in enumerate(of, start=int(name) * 100))
    )


def catalogue(**collections: Sequence[SandboxPatient]) -> Catalogue:
    return Catalogue(
        collections=tuple(SandboxCollection(name=name, patients=tuple(patients)) for name, patients in collections.items())
    )


def two_collections() -> Catalogue:
    """A with two patients, of two series and one; B with one patient of one series."""
    return catalogue(
        A=[patient("1", series(1), series(2)), patient("2", series(3))],
        B=[patient("3", series(4))],
    )


def of_patients(*names: str, **more: tuple[str, ...]) -> list[Selection]:
    """An entry for each patient of collection A."""
    return [Selection(position=f"m:{name}", values={"collection": ("A",), "patient_id": (name,), **more}) for name in names]


def left_out(seed: int, times: int | None = None, *more: str) -> Fault:
    """A series that getSeries leaves out."""
    return Fault(kind=FaultKind.WITHDRAWN, series_instance_uid=uid(seed), endpoints=("getSeries", *more), times=times)


def warnings_with(report_warnings: Sequence[str], text: str) -> list[str]:
    return [warning for warning in report_warnings if text in warning]


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("fault", [left_out(2, 1), Fault(kind=FaultKind.EMPTY, endpoints=("getSeries",), times=1)])
async def test_a_list_that_is_short_once_is_asked_for_again(tmp_path: Path, api: ApiGeneration, fault: Fault) -> None:
    """Also in a first run, which has nothing to compare it with but the archive's own counts."""
    async with open_scene(tmp_path, fault, catalogue=two_collections()) as scene:
        report = await scene.run(api)
        scene.assert_complete(report)
        assert report.warnings == ()


@pytest.mark.parametrize("api", [V4, V1])
async def test_what_a_list_leaves_out_for_good_is_asked_for_by_study(tmp_path: Path, api: ApiGeneration) -> None:
    """The list of the collection leaves it out twice, its study's does not."""
    async with open_scene(tmp_path, left_out(2, 2), catalogue=two_collections()) as scene:
        report = await scene.run(api)
        scene.assert_complete(report)
        (told,) = report.warnings
        assert "counts 1 series in 1 studies of collection='A', and its list has 0 of them; another query listed 1" in told


@pytest.mark.parametrize("fault", [left_out(3), left_out(3, 7)])
async def test_a_first_run_with_a_patient_that_stays_missing_is_not_complete(tmp_path: Path, fault: Fault) -> None:
    """19 of 20 patients, so to speak: the archive counts series of the patient, and lists none, however it is asked."""
    async with open_scene(tmp_path, fault, catalogue=two_collections()) as scene:
        report = await scene.run(select=of_patients("1", "2"))
        assert (report.outcome, report.exit_code, report.tally.complete) == ("incomplete", 3, 2)
        (told,) = warnings_with(report.warnings, "run again later")
        assert "counts 1 series in 1 studies of collection='A' patient_id='2', and its list has 0 of them" in told
        scene.sandbox.faults.clear()
        assert (await scene.run(select=of_patients("1", "2"))).exit_code == 0


async def test_a_patient_that_is_missing_from_a_list_by_modality_is_found(tmp_path: Path) -> None:
    """The archive names the patients that have the modality; their own lists bring what is missing."""
    by_modality = [Selection(position="m:1", values={"collection": ("A",), "modality": ("CT",)})]
    async with open_scene(tmp_path, left_out(3, 2), catalogue=two_collections()) as scene:
        report = await scene.run(select=by_modality)
        assert (report.exit_code, report.tally.complete) == (0, 3)
        (told,) = report.warnings
        assert "lists no series of collection='A' modality='CT' for 1 patients that have series: '2'" in told
    async with open_scene(tmp_path, left_out(3), catalogue=two_collections()) as scene:
        assert (await scene.run(select=by_modality)).exit_code == 3


async def test_a_count_that_is_too_large_is_only_told(tmp_path: Path) -> None:
    """As one that counts hidden series: the study's own list agrees with the collection's, so no later run fails for it."""
    study = study_of(series(1), series(2), seed=1)
    hidden = Fault(kind=FaultKind.WITHDRAWN, series_instance_uid=uid(2), endpoints=("getSeries", "getSeriesMetadata"))
    only = catalogue(A=[SandboxPatient(patient_id="1", studies=(study,))])
    async with open_scene(tmp_path, hidden, catalogue=only) as scene:
        for _ in range(2):
            report = await scene.run()
            assert (report.outcome, report.exit_code, report.tally.complete) == ("complete", 0, 1)
            (told,) = report.warnings
            assert "the count is treated as wrong" in told


@pytest.mark.parametrize("api", GENERATIONS)
async def test_an_ordinary_run_counts_with_one_request_for_each_list(tmp_path: Path, api: ApiGeneration) -> None:
    """And with one for several patients of a collection, where rows need nothing of their studies."""
    async with open_scene(tmp_path, catalogue=two_collections()) as scene:
        await scene.run(api)
        scene.sandbox.requests.clear()
        await scene.run(api)
        counts = [scene.sandbox.count(name) for name in ("getCollectionValues", "getSeries", "getPatientStudy")]
        assert counts == [1, 2, 2]
        scene.sandbox.requests.clear()
        several = [Selection(position="m:1", values={"collection": ("A",), "patient_id": ("1", "2")})]
        await scene.run(api, select=several)
        assert scene.sandbox.count("getSeries") == 2
        assert scene.sandbox.count("getPatientStudy") == (2 if api is BINDAAS else 1)


async def test_an_archive_that_does_not_count_is_believed(tmp_path: Path) -> None:
    """A deployment without getPatientStudy; each list asks twice, since one such answer is no evidence, and the run warns."""
    gone = Fault(kind=FaultKind.STATUS, status=404, endpoints=("getPatientStudy",))
    async with open_scene(tmp_path, gone, catalogue=two_collections()) as scene:
        report = await scene.run()
        scene.assert_complete(report)
        (told,) = report.warnings
        assert "2 lists of" in told
        assert "could not be compared with its counts" in told
        assert scene.sandbox.count("getPatientStudy") == 4


@pytest.mark.parametrize("api", [V4, V1])
@pytest.mark.parametrize("status", [401, 403])
async def test_counts_that_an_archive_refuses_end_no_run(tmp_path: Path, api: ApiGeneration, status: int) -> None:
    """The list itself proves the credentials: that it could not be compared is a warning."""
    refused = ("getPatientStudy", "getPatientByCollectionAndModality")
    by_modality = [Selection(position="m:1", values={"collection": ("A",), "modality": ("CT",)})]
    async with open_scene(
        tmp_path, Fault(kind=FaultKind.STATUS, status=status, endpoints=refused), catalogue=two_collections()
    ) as scene:
        report = await scene.run(api)
        scene.assert_complete(report)
        assert warnings_with(report.warnings, "2 lists of")
        if api is V4:
            report = await scene.run(api, select=by_modality)
            assert report.exit_code == 0
            assert warnings_with(report.warnings, "could not be compared with its counts")


@pytest.mark.parametrize("api", [V4, V1])
async def test_a_count_that_fails_twice_switches_no_other_comparison_off(tmp_path: Path, api: ApiGeneration) -> None:
    """Two answers of 404 to the first collection: the run warns of its list, and still finds the short list of the second."""
    gone = Fault(kind=FaultKind.STATUS, status=404, endpoints=("getPatientStudy",), times=2)
    async with open_scene(tmp_path, gone, left_out(4, 1), catalogue=two_collections()) as scene:
        report = await scene.run(api)
        scene.assert_complete(report)
        (told,) = report.warnings
        assert "1 lists of" in told
        assert "collection='A'" in told


def many_patients(patients: int) -> Catalogue:
    """This many patients, each with a study of two series, of an odd and an even seed."""
    return catalogue(
        A=[
            SandboxPatient(patient_id=str(one), studies=(study_of(series(2 * one), series(2 * one + 1), seed=one),))
            for one in range(1, patients + 1)
        ]
    )


@pytest.mark.parametrize("is_right", [True, False], ids=["the lists are right", "a list of a study tells more"])
async def test_of_many_short_studies_a_sample_decides(tmp_path: Path, is_right: bool) -> None:
    """Counts with a hidden series in each of 101 studies are a warning; a list that is truly short is in doubt."""
    hides = [left_out(2 * one, None if is_right else 2, "getSeriesMetadata") for one in range(1, 102)]
    async with open_scene(tmp_path, *hides, catalogue=many_patients(101)) as scene:
        report = await scene.run()
        assert report.exit_code == (0 if is_right else 3)
        assert scene.sandbox.count("getSeries") == 22
        assert warnings_with(
            report.warnings, "another query for 20 of these 101 lists no more" if is_right else "run again later"
        )


async def test_an_archive_that_cannot_count_now_is_in_doubt(tmp_path: Path) -> None:
    """All is fetched, and the run says why it is not complete."""
    broken = Fault(kind=FaultKind.STATUS, status=500, endpoints=("getPatientStudy",))
    async with open_scene(tmp_path, broken, catalogue=two_collections()) as scene:
        report = await scene.run()
        assert (report.exit_code, report.tally.complete) == (3, 4)
        assert warnings_with(report.warnings, "cannot report how many series of collection='A' it has")


ASKED_OF_COLLECTIONS = ("getSeries", "getPatientStudy", "getPatient")


@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_collection_without_series_stops_no_other(tmp_path: Path, api: ApiGeneration) -> None:
    """Truly empty, as two other questions agree: a warning, and exit 0."""
    empty = Fault(kind=FaultKind.WITHDRAWN, series_instance_uid=uid(4), endpoints=ASKED_OF_COLLECTIONS)
    async with open_scene(tmp_path, empty, catalogue=two_collections()) as scene:
        report = await scene.run(api)
        assert (report.outcome, report.exit_code, report.tally.complete) == ("complete", 0, 3)
        assert warnings_with(report.warnings, "the collection 'B' of")


async def test_a_collection_whose_list_is_empty_against_other_answers_is_in_doubt(tmp_path: Path) -> None:
    """The others complete, and the run ends with 3."""
    empty = Fault(kind=FaultKind.WITHDRAWN, series_instance_uid=uid(4), endpoints=("getSeries",))
    async with open_scene(tmp_path, empty, catalogue=two_collections()) as scene:
        report = await scene.run()
        assert (report.outcome, report.exit_code, report.tally.complete) == ("incomplete", 3, 3)
        (told,) = report.warnings
        assert "counts 1 series in 1 studies of collection='B', and its list has 0 of them; run again later" in told


async def test_an_archive_that_has_nothing_at_all_is_in_doubt(tmp_path: Path) -> None:
    """Every question is answered with nothing, as by a failed database."""
    nothing = Fault(kind=FaultKind.EMPTY, endpoints=ASKED_OF_COLLECTIONS)
    async with open_scene(tmp_path, nothing, catalogue=two_collections()) as scene:
        report = await scene.run()
        assert (report.outcome, report.exit_code) == ("incomplete", 3)
        assert len(warnings_with(report.warnings, "as it also does when its database fails")) == 2


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("told", ["{} ", "{}.", "\t{}"])
async def test_an_unreadable_row_withdraws_nothing(tmp_path: Path, api: ApiGeneration, told: str) -> None:
    """The series that it may mean is still listed, and stays complete; the others are taken up."""
    async with open_scene(tmp_path, catalogue=two_collections()) as scene:
        scene.assert_complete(await scene.run(api))
        scene.sandbox.faults.add(Fault(kind=FaultKind.BAD_UID, text=told.format(uid(3)), series_instance_uid=uid(3)))
        report = await scene.run(api)
        assert (report.exit_code, report.tally.complete, report.tally.withdrawn) == (3, 4, 0)
        (warning,) = report.warnings
        assert warning.startswith("1 rows of ")
        scene.sandbox.faults.clear()
        scene.assert_complete(await scene.run(api))


@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_row_that_is_unreadable_once_is_asked_for_again(tmp_path: Path, api: ApiGeneration) -> None:
    """Then nothing is to be said."""
    fault = Fault(kind=FaultKind.BAD_UID, series_instance_uid=uid(3), times=1, endpoints=("getSeries",))
    async with open_scene(tmp_path, fault, catalogue=two_collections()) as scene:
        scene.assert_complete(await scene.run(api))


async def test_an_entry_that_names_a_series_with_an_unreadable_row_tells_it(tmp_path: Path) -> None:
    """And fetches the others that it names."""
    named = [Selection(position="m:1", series_instance_uids=(uid(1), uid(3)))]
    fault = Fault(kind=FaultKind.BAD_UID, text=f"{uid(3)} ", series_instance_uid=uid(3))
    async with open_scene(tmp_path, fault, catalogue=two_collections()) as scene:
        report = await scene.run(select=named)
        assert (report.exit_code, report.tally.complete) == (3, 1)
        assert set(scene.receipts()) == {uid(1)}


def of_both_collections() -> list[Selection]:
    return [Selection(position="m:1", values={"collection": ("A", "B")})]


def failing_lists(times: int | None) -> Fault:
    """GetSeries fails in each attempt at as many lists as that is a multiple of the attempts."""
    return Fault(kind=FaultKind.STATUS, status=500, endpoints=("getSeries",), times=times)


async def test_a_list_that_fails_for_good_hides_no_other_collection(tmp_path: Path) -> None:
    """The other collection is fetched, the run is not complete, and the next one completes it."""
    async with open_scene(tmp_path, failing_lists(QUERY_ATTEMPTS), catalogue=two_collections()) as scene:
        report = await scene.run(select=of_both_collections())
        assert (report.outcome, report.exit_code, report.tally.complete) == ("incomplete", 3, 1)
        (warning,) = warnings_with(report.warnings, "run again later")
        assert "collection='A'" in warning
        assert "responded with 500" in warning
        assert not warnings_with(report.warnings, "no series match")
        scene.assert_complete(await scene.run(select=of_both_collections()))


async def test_a_list_that_fails_for_good_withdraws_nothing(tmp_path: Path) -> None:
    """What it listed before stays complete, and stays wanted."""
    async with open_scene(tmp_path, catalogue=two_collections()) as scene:
        scene.assert_complete(await scene.run(select=of_both_collections()))
        scene.sandbox.faults.add(failing_lists(QUERY_ATTEMPTS))
        report = await scene.run(select=of_both_collections())
        assert (report.outcome, report.tally.complete, report.tally.withdrawn) == ("incomplete", 4, 0)
        scene.assert_complete(await scene.run(select=of_both_collections()))


async def test_an_archive_whose_lists_all_fail_ends_the_run(tmp_path: Path) -> None:
    """Nothing is known of any series then, so there is nothing to go on with."""
    async with open_scene(tmp_path, failing_lists(None), catalogue=two_collections()) as scene:
        with pytest.raises(ArchiveFaultError, match="responded with 500"):
            await scene.run(select=of_both_collections())
