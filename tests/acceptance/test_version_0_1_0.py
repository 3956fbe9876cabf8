"""Libraries and stores that version 0.1.0 made (tests/fixtures/0.1.0) open, verify, and go on."""

import csv
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from downloader.sandbox import SandboxSeries, catalogue_of, generated_series
from tests.acceptance.archives import ServedArchive, assert_nothing_staged, receipts_of, serve_archive
from tests.acceptance.command import Ended, run_command

pytestmark = pytest.mark.acceptance

FIXTURES = Path(__file__).parents[1] / "fixtures" / "0.1.0"
CORRUPT, UNAVAILABLE, WITHDRAWN, GROWN, NEW = 3, 4, 5, 6, 7


def series(seed: int) -> SandboxSeries:
    """As the archive has it after the last run of version 0.1.0."""
    return generated_series(seed=seed, images=3 if seed == GROWN else 2, rows=16, columns=16)


def uid(seed: int) -> str:
    return series(seed).series_instance_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """A copy of the library, and an archive under the name that its store knows."""

    archive: ServedArchive
    folder: Path
    storage: str

    @property
    def library(self) -> Path:
        return self.folder / "library"

    def tciad(self, *arguments: str) -> Ended:
        """Run the command; the archive's name is reached through a proxy, which is the sandbox itself."""
        proxy = self.archive.sandbox.base_url.removesuffix("/nbia-api/services")
        words = (*arguments, "-o", "library")
        return run_command(*words, directory=self.folder, environment={"HTTP_PROXY": proxy, "NO_PROXY": ""})

    def assert_whole(self, seeds: set[int]) -> None:
        """The library holds these series and no others, each as the archive has it."""
        receipts = receipts_of(self.library)
        assert set(receipts) == {uid(seed) for seed in seeds}
        for seed in seeds - {WITHDRAWN}:
            assert self.archive.holds(uid(seed), receipts[uid(seed)][1])
        assert_nothing_staged(self.library)


@pytest.fixture(params=["images", "zip"])
def inherited(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inherited]:
    """The library of each format, and the archive as version 0.1.0 saw it last, in good health, with one series more."""
    with tarfile.open(FIXTURES / f"{request.param}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    catalogue = catalogue_of([series(seed) for seed in (1, 2, CORRUPT, UNAVAILABLE, GROWN, NEW)])
    with serve_archive(catalogue) as served:
        yield Inherited(archive=served, folder=tmp_path, storage=request.param)


def test_what_it_stored_is_reported_and_sound(inherited: Inherited) -> None:
    """Status, failures, report and verification say what version 0.1.0 left."""
    inherited.assert_whole({1, 2, WITHDRAWN, GROWN})

    status = inherited.tciad("status", "--json")
    assert status.exit_code == 0, status.stderr
    counted = status.document["series"]
    assert {state: counted[state] for state in ("complete", "failed", "withdrawn", "pending", "claimed")} == {
        "complete": 3,
        "failed": 2,
        "withdrawn": 1,
        "pending": 0,
        "claimed": 0,
    }
    failures = inherited.tciad("failures", "--json").document
    assert {failure["series_instance_uid"] for failure in failures} == {uid(CORRUPT), uid(UNAVAILABLE)}
    reported = inherited.tciad("report", "--format", "csv", "--to", "-")
    assert {row["series_instance_uid"] for row in csv.DictReader(io.StringIO(reported.stdout))} >= {
        uid(seed) for seed in (1, 2, CORRUPT, UNAVAILABLE, GROWN)
    }
    verified = inherited.tciad("verify", "all.yaml", "--deep", "--json")
    assert (verified.exit_code, verified.document["findings"]) == (0, []), verified.stdout + verified.stderr


def test_a_run_goes_on_to_complete(inherited: Inherited) -> None:
    """Only what failed and what is new is downloaded; the records of version 0.1.0 stay; nothing is left to do afterwards."""
    records = {path.name: path.read_bytes() for path in (inherited.library / ".tciad" / "runs").iterdir()}
    (paused,) = (inherited.library / ".tciad").glob("paused")
    assert inherited.tciad("resume").exit_code == 0
    assert not paused.exists()

    ended = inherited.tciad("run", "all.yaml", "--json")

    assert (ended.exit_code, ended.document["outcome"]) == (0, "complete"), ended.stdout + ended.stderr
    fetched = {request.series_instance_uid for request in inherited.archive.sandbox.requests if request.endpoint == "getImage"}
    assert fetched == {uid(CORRUPT), uid(UNAVAILABLE), uid(NEW)}
    inherited.assert_whole({1, 2, CORRUPT, UNAVAILABLE, WITHDRAWN, GROWN, NEW})
    kept = {path.name: path.read_bytes() for path in (inherited.library / ".tciad" / "runs").iterdir()}
    assert records.items() < kept.items()
    assert inherited.tciad("run", "all.yaml", "--json").document["series"]["completed"] == 0
    assert inherited.tciad("verify", "all.yaml", "--deep", "--json").exit_code == 0
    assert inherited.tciad("failures", "--json").document == []


def test_a_store_is_rebuilt_from_its_receipts(inherited: Inherited) -> None:
    """Without the store, today's code reads the receipts of version 0.1.0, and downloads nothing of what they prove."""
    (inherited.library / ".tciad" / "state.db").unlink()

    rebuilt = inherited.tciad("store", "rebuild")
    ended = inherited.tciad("run", "all.yaml", "--json")

    assert (rebuilt.exit_code, ended.exit_code) == (0, 0), rebuilt.stderr + ended.stderr
    fetched = {request.series_instance_uid for request in inherited.archive.sandbox.requests if request.endpoint == "getImage"}
    assert fetched == {uid(CORRUPT), uid(UNAVAILABLE), uid(NEW)}
    assert ended.document["series"]["already_complete"] == 3
