"""Attempts under different claims share nothing in staging, and the next attempt finds what an earlier one left."""

from pathlib import Path

import pytest

from downloader.config.options import StorageFormat
from downloader.errors import LibraryError, NoSpaceError
from downloader.library.local.library import LocalLibrary
from downloader.library.sink import Staging
from downloader.model import ImageData, ImageStarted
from tests.library.series_streams import SERIES, dicom_file, receipt_of, take, take_all

pytestmark = pytest.mark.anyio
UID = SERIES.series_instance_uid
FILES = {f"1-{number}.dcm": dicom_file(SERIES, number) for number in (1, 2, 3)}


def staged(root: Path) -> list[str]:
    """What lies in staging."""
    return sorted(path.name for path in (root / ".tciad" / "staging").iterdir())


def some_of(names: str) -> dict[str, bytes]:
    """Images of the series by the digits of their names."""
    return {f"1-{number}.dcm": FILES[f"1-{number}.dcm"] for number in names}


def salvaged(staging: Staging) -> int:
    """How many images of earlier attempts are here."""
    return len(staging.salvage.images)


def begin_and_take(library: LocalLibrary, claim_id: str, names: str = "12") -> Staging:
    """An attempt that has taken these images."""
    staging = library.begin(SERIES, claim_id)
    take_all(staging, some_of(names))
    return staging


def test_what_an_attempt_keeps_is_left_to_the_next_claim(tmp_path: Path) -> None:
    """Under the name of the series alone, as older versions had it; no two names of it at once."""
    library = LocalLibrary(tmp_path)
    begin_and_take(library, "a").keep(received_bytes=1, line_broke=True)
    assert staged(tmp_path) == [UID, f"{UID}.jsonl"]
    second = library.begin(SERIES, "b")
    assert salvaged(second) == 2
    assert staged(tmp_path) == [f"{UID}@b", f"{UID}@b.jsonl"]
    take_all(second, some_of("3"))
    second.commit(receipt_of(SERIES, second.named_images()))
    assert staged(tmp_path) == []


def test_two_claims_share_no_folder(tmp_path: Path) -> None:
    """One that is lost goes on for a while: the other one commits what is its own, and nothing comes into it."""
    library = LocalLibrary(tmp_path)
    late = begin_and_take(library, "late", "1")
    other = begin_and_take(library, "other", "123")
    folder = tmp_path / other.commit(receipt_of(SERIES, other.named_images())).folder
    before = sorted(path.name for path in folder.iterdir())
    take_all(late, some_of("2"))
    take(late, ImageStarted("1-3.dcm"), ImageData(FILES["1-3.dcm"][:500]))
    late.keep(received_bytes=1, line_broke=False)
    assert sorted(path.name for path in folder.iterdir()) == before


async def test_a_claim_whose_staging_was_taken_over_cannot_write_into_it(tmp_path: Path) -> None:
    """It fails for itself; what it had staged is the other's."""
    library = LocalLibrary(tmp_path)
    late = begin_and_take(library, "late", "1")
    await library.leftovers.leave_to_next()
    successor = library.begin(SERIES, "successor")
    assert salvaged(successor) == 1
    with pytest.raises(LibraryError):
        take_all(late, some_of("2"))
    late.discard()
    take_all(successor, some_of("23"))
    folder = tmp_path / successor.commit(receipt_of(SERIES, successor.named_images())).folder
    assert len(list(folder.glob("*.dcm"))) == 3
    assert not list(folder.glob("*.part"))


async def test_what_live_claims_stage_stays_theirs(tmp_path: Path) -> None:
    """A session that starts beside another clears away nothing that is worked at."""
    library = LocalLibrary(tmp_path)
    live = begin_and_take(library, "live")
    begin_and_take(library, "dead", "1")
    await library.leftovers.leave_to_next(["live"])
    assert staged(tmp_path) == [UID, f"{UID}.jsonl", f"{UID}@live", f"{UID}@live.jsonl"]
    assert await library.leftovers.whole_staged([], ["live"]) == []
    await library.leftovers.clear_staging([], ["live"])
    assert staged(tmp_path) == [f"{UID}@live", f"{UID}@live.jsonl"]
    take_all(live, some_of("3"))
    live.commit(receipt_of(SERIES, live.named_images()))


async def test_of_two_dead_claims_folder_and_journal_stay_together(tmp_path: Path) -> None:
    """The journal of one names nothing that lies in the folder of the other."""
    library = LocalLibrary(tmp_path)
    take(library.begin(SERIES, "a"), ImageStarted("1-1.dcm"), ImageData(FILES["1-1.dcm"][:500]))
    begin_and_take(library, "b")
    await library.leftovers.leave_to_next()
    assert salvaged(library.begin(SERIES, "c")) == 2


@pytest.mark.parametrize("renamed", ["", ".jsonl"], ids=["folder", "journal"])
@pytest.mark.parametrize(("old", "new"), [("@a", ""), ("", "@a")], ids=["left", "taken over"])
async def test_a_kill_between_two_renames_loses_nothing(tmp_path: Path, old: str, new: str, renamed: str) -> None:
    """Folder and journal have different names then, and meet again."""
    library = LocalLibrary(tmp_path)
    attempt = begin_and_take(library, "a")
    if new:
        attempt.keep(received_bytes=1, line_broke=True)
    staging = tmp_path / ".tciad" / "staging"
    (staging / f"{UID}{old}{renamed}").rename(staging / f"{UID}{new}{renamed}")
    await library.leftovers.leave_to_next()
    assert salvaged(library.begin(SERIES, "b")) == 2


async def test_what_an_older_version_left_is_taken_over(tmp_path: Path) -> None:
    """It knew no claims: its folder is called by the series."""
    library = LocalLibrary(tmp_path)
    begin_and_take(library, "").keep(received_bytes=1, line_broke=True)
    await library.leftovers.leave_to_next()
    assert salvaged(LocalLibrary(tmp_path).begin(SERIES, "new")) == 2


def test_an_attempt_that_finds_no_space_leaves_what_was_there(tmp_path: Path) -> None:
    """The next one goes on with it."""
    begin_and_take(LocalLibrary(tmp_path), "a").keep(received_bytes=1, line_broke=True)
    with pytest.raises(NoSpaceError):
        LocalLibrary(tmp_path, min_free_bytes=10**18).begin(SERIES, "b")
    assert salvaged(LocalLibrary(tmp_path).begin(SERIES, "c")) == 2


def test_a_library_of_zips_drops_what_was_left_as_images(tmp_path: Path) -> None:
    """They cannot be continued."""
    begin_and_take(LocalLibrary(tmp_path), "a").keep(received_bytes=1, line_broke=True)
    LocalLibrary(tmp_path, storage=StorageFormat.ZIP).begin(SERIES, "b").discard()
    assert staged(tmp_path) == []
