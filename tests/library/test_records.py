"""Records of runs and changes: kept by time, read newest first, bounded in number."""

from datetime import timedelta
from pathlib import Path

import pytest

from downloader.library.model import CHANGES, RUNS
from downloader.library.state.records import MOST_RECORDS, read_records, write_record
from downloader.own_folder import OWN_FOLDER
from tests.fakes.clock import START_AT


@pytest.fixture(autouse=True)
def library(tmp_path: Path) -> None:
    """Records are kept in a library that is there; writing one makes none."""
    (tmp_path / OWN_FOLDER).mkdir()


def write(root: Path, minute: int, manifest: str = "m") -> None:
    write_record(root, CHANGES, START_AT + timedelta(minutes=minute), {"manifest": manifest, "minute": minute})


def minutes(root: Path, **asked: object) -> list[int]:
    return [record.document["minute"] for record in read_records(root, CHANGES, **asked)]  # type: ignore[arg-type]


def test_records_are_read_newest_first_and_by_pages(tmp_path: Path) -> None:
    """Those of one manifest, or all; each page goes on before the last of the one before."""
    for minute in range(5):
        write(tmp_path, minute, "even" if minute % 2 == 0 else "odd")
    assert minutes(tmp_path) == [4, 3, 2, 1, 0]
    assert minutes(tmp_path, manifest="odd") == [3, 1]
    first = read_records(tmp_path, CHANGES, limit=2)
    assert minutes(tmp_path, limit=2, before=first[-1].name) == [2, 1]
    assert read_records(tmp_path, RUNS) == []


def test_a_record_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """It proves nothing anyway."""
    write(tmp_path, 1)
    (tmp_path / ".tciad" / CHANGES / "20990101T000000.000000Z.json").write_text("{")
    (tmp_path / ".tciad" / CHANGES / "20990101T000000.000001Z.json").write_text("[]")
    assert minutes(tmp_path) == [1]


def test_the_oldest_records_go(tmp_path: Path) -> None:
    """A service that runs for years does not fill the disk with them."""
    folder = tmp_path / ".tciad" / CHANGES
    folder.mkdir(parents=True)
    for number in range(MOST_RECORDS + 5):
        (folder / f"20200101T000000.{number:06d}Z.json").write_text("{}")
    write(tmp_path, 1)
    assert len(list(folder.iterdir())) == MOST_RECORDS
    assert minutes(tmp_path, limit=1) == [1]
