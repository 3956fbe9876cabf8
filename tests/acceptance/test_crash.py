"""kill -9 at any moment loses at most the images in flight, and nothing that it left is ever believed."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import ServedArchive, serve_archive, small_catalogue
from tests.acceptance.crashes import how_many, mirror_of, moments

pytestmark = [pytest.mark.acceptance, pytest.mark.crash, pytest.mark.timeout(600)]

SERIES = 200
# beside one getImage for each series: the listing, and asking which generation of getImage this is
REQUESTS = SERIES + 2


@pytest.fixture(scope="module")
def archive() -> Iterator[ServedArchive]:
    with serve_archive(small_catalogue(SERIES)) as served:
        yield served


@pytest.mark.parametrize("seed", range(how_many(8)))
def test_a_killed_run_is_finished_by_the_next(archive: ServedArchive, tmp_path: Path, seed: int) -> None:
    """Killed once or several times in a row, anywhere between the first request and the last."""
    mirror = mirror_of(archive, tmp_path)
    for after_requests in moments(Random(seed), REQUESTS):
        mirror.run_and_kill(after_requests)

    mirror.assert_goes_on()


def test_a_killed_run_on_a_bad_line(tmp_path: Path) -> None:
    """Salvaged images, set-back attempts and a kill at once."""
    faults = [Fault(kind=FaultKind.CUT, at_bytes=2_000, times=40), Fault(kind=FaultKind.STATUS, status=503, times=5, after=30)]
    with serve_archive(small_catalogue(60, images=4), faults=faults) as archive:
        mirror = mirror_of(archive, tmp_path)
        for after_requests in (20, 50, 30):
            mirror.run_and_kill(after_requests)

        ended = mirror.run()

        assert ended.exit_code == 0, ended.stdout + ended.stderr
        mirror.assert_goes_on()
