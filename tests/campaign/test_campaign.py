"""A fixed list of iterations of the campaign; `make campaign` plays more."""

from pathlib import Path

import pytest

from tests.campaign.iteration import play_iteration

pytestmark = [pytest.mark.acceptance, pytest.mark.campaign, pytest.mark.timeout(900)]

# 4 is known to find something: a former folder whose clearing failed once stays beside the new one
SEEDS = range(1, 41)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_library_lives_through_everything_at_once(seed: int, tmp_path: Path) -> None:
    """Faults, kills, failing calls, changes and mending in random order: the judge finds nothing after any command."""
    result = play_iteration(seed, keep=tmp_path)
    assert not result.findings, "\n".join([*result.log, *result.findings])
