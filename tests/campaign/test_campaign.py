"""A fixed list of iterations of the campaign; `make campaign` runs more."""

from pathlib import Path

import pytest

from tests.campaign.iteration import play_iteration

pytestmark = [pytest.mark.acceptance, pytest.mark.campaign, pytest.mark.timeout(900)]

# 4 has a known finding: a former folder that could not be removed stays next to the new one
SEEDS = range(1, 41)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_library_lives_through_everything_at_once(seed: int, tmp_path: Path) -> None:
    """Random faults, kills, failing calls, changes and repairs: the judge finds no violation after any command."""
    result = play_iteration(seed, keep=tmp_path)
    assert not result.findings, "\n".join([*result.log, *result.findings])
