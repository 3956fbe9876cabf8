"""CHANGELOG.md and the version of the package agree."""

import re
from datetime import date
from pathlib import Path

from downloader import __version__

TEXT = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def numbers_of(version: str) -> tuple[int, ...]:
    """So that 0.10.0 comes after 0.9.0."""
    return tuple(map(int, version.split(".")))


RELEASES = {numbers_of(version): day for version, day in re.findall(r"^## \[([\d.]+)\] - (\S+)$", TEXT, re.MULTILINE)}


def test_the_version_is_the_newest_release_or_leads_to_the_next() -> None:
    """With changes since the newest release it is a development version after it."""
    unreleased = TEXT.split("## [Unreleased]\n")[1].split("\n## [")[0].strip()
    number, _, development = __version__.partition(".dev")
    assert bool(unreleased) == bool(development)
    if development:
        assert numbers_of(number) > max(RELEASES)
    else:
        assert numbers_of(number) == max(RELEASES)


def test_releases_are_dated_and_listed_from_the_newest_on() -> None:
    """Every heading is a release or one kind of change."""
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert len(headings) == 1 + len(RELEASES)
    assert list(RELEASES) == sorted(RELEASES, reverse=True)
    assert all(date.fromisoformat(day) for day in RELEASES.values())
    assert set(re.findall(r"^### (.+)$", TEXT, re.MULTILINE)) <= set(KINDS)
