"""Changes of the tree: written down before they begin, and finished or undone from every state that a kill can leave."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from downloader.errors import LibraryError
from downloader.library.changes import Change, ChangeKind, Finished
from downloader.library.local.change_journal import ChangeJournal
from downloader.library.local.library import LocalLibrary
from downloader.library.receipt import DOUBTED_NAME, RECEIPT_NAME, encode_receipt
from tests.fakes.clock import START_AT
from tests.library.series_streams import SERIES, dicom_file, members_of, move, place_for, receipt_of, store, take_all

pytestmark = pytest.mark.anyio

UID = SERIES.series_instance_uid
NEWER = {"1-1.dcm": dicom_file(SERIES, 9)}
DONE = Finished(series_instance_uid=UID)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the library lies."""
    return tmp_path / "library"


@pytest.fixture
def library(root: Path) -> LocalLibrary:
    """A new one."""
    return LocalLibrary(root)


async def copy_to(root: Path, folder: PurePosixPath, target: str, *, later_seconds: float = 0) -> PurePosixPath:
    """Another copy of a series, proven that much later."""
    shutil.copytree(root / folder, root / target)
    await touch_receipt(root, PurePosixPath(target), later_seconds=later_seconds)
    return PurePosixPath(target)


async def completed_at(library: LocalLibrary, folder: PurePosixPath) -> datetime:
    receipt = await library.reader.receipt_in(folder)
    assert receipt is not None
    return receipt.completed_at


async def touch_receipt(root: Path, folder: PurePosixPath, *, later_seconds: float) -> None:
    """As if the series had been fetched again into its folder, that much later."""
    receipt = await LocalLibrary(root).reader.receipt_in(folder)
    assert receipt is not None
    told = replace(receipt, completed_at=receipt.completed_at + timedelta(seconds=later_seconds))
    (root / folder / RECEIPT_NAME).write_bytes(encode_receipt(told))


def images_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.dcm")}


async def finish_all(root: Path) -> list[Finished]:
    """What the next start does; each change is finished twice, since the first time may be killed before its record goes."""
    changes = LocalLibrary(root).changes
    found: list[Finished] = []
    for record in await changes.unfinished():
        found += [await changes.finish(change) for change in record.changes]
        for change in record.changes:
            await changes.finish(change)
        await changes.end(record)
    assert list(await changes.unfinished()) == []
    return found


class TestJournal:
    """The records themselves."""

    async def test_a_record_is_found_until_it_is_ended(self, library: LocalLibrary) -> None:
        """By another process, with all that it says; ending it twice does nothing."""
        assert list(await library.changes.unfinished()) == []
        change = Change(
            kind=ChangeKind.REPLACE,
            series_instance_uid=UID,
            folder=PurePosixPath("a/b\udcff"),
            targets=(PurePosixPath("c"),),
            keeper=PurePosixPath("d"),
            completed_at=START_AT,
        )
        record = await library.changes.begin([change, change])
        assert list(await library.changes.unfinished()) == [record]
        await library.changes.end(record)
        await library.changes.end(record)
        assert list(await library.changes.unfinished()) == []

    async def test_a_record_keeps_what_is_not_over(self, library: LocalLibrary) -> None:
        """Another process finds the rest under the same name."""
        changes = [Change(kind=ChangeKind.DOUBT, series_instance_uid=UID, folder=PurePosixPath(name)) for name in "abc"]
        record = await library.changes.begin(changes)
        await library.changes.keep(record, changes[1:2])
        assert list(await library.changes.unfinished()) == [replace(record, changes=(changes[1],))]

    async def test_a_torn_record_stands_for_a_change_that_never_began(self, library: LocalLibrary, root: Path) -> None:
        """A change begins once its record is whole on the disk; a torn one goes."""
        record = await library.changes.begin([Change(kind=ChangeKind.DOUBT, series_instance_uid=UID, folder=PurePosixPath("a"))])
        path = root / ".tciad" / "intents" / record.name
        (path.parent / "torn.json.new").write_bytes(path.read_bytes()[:9])
        assert list(await library.changes.unfinished()) == [record]
        assert [found.name for found in path.parent.iterdir()] == [record.name]

    @pytest.mark.parametrize(
        "harm",
        [
            lambda document: document | {"format": 2},
            lambda document: document | {"changes": [document["changes"][0] | {"kind": "shred"}]},
            lambda document: document | {"changes": [document["changes"][0] | {"folder": "../../etc"}]},
            lambda document: document | {"changes": [document["changes"][0] | {"folder": "/etc"}]},
            lambda document: document | {"changes": [document["changes"][0] | {"kind": "delete"}]},
            lambda document: document | {"changes": [document["changes"][0] | {"kind": "clear"}]},
            lambda document: {"format": document["format"]},
            lambda _: [],
            lambda _: "",
        ],
    )
    async def test_a_record_of_another_form_is_not_guessed_at(
        self, library: LocalLibrary, root: Path, harm: Callable[[dict[str, object]], object]
    ) -> None:
        """A newer tciad wrote it, or somebody else: it stays, and the error names it."""
        record = await library.changes.begin([Change(kind=ChangeKind.DOUBT, series_instance_uid=UID, folder=PurePosixPath("a"))])
        path = root / ".tciad" / "intents" / record.name
        path.write_text(json.dumps(harm(json.loads(path.read_text()))))
        with pytest.raises(LibraryError, match=f"intents/{record.name}"):
            await library.changes.unfinished()
        assert path.exists()

    def test_a_new_series_costs_no_record(self, library: LocalLibrary, root: Path) -> None:
        """One rename is a transaction by itself."""
        store(library, SERIES)
        assert not (root / ".tciad" / "intents").exists()


class TestReplacement:
    """A newer version takes the place of an older one."""

    @pytest.fixture
    def change(self, library: LocalLibrary, root: Path) -> Change:
        """Older and newer version at their places, where no two folders can be exchanged in one step, and the record written."""
        folder = store(library, SERIES)
        finished = root / ".tciad" / "staging" / UID
        staging = LocalLibrary(root.parent / "elsewhere", layout="flat").begin(SERIES)
        take_all(staging, NEWER)
        receipt = replace(receipt_of(SERIES, staging.named_images()), completed_at=START_AT)
        staging.commit(receipt)
        shutil.move(root.parent / "elsewhere" / UID, finished)
        change = Change(
            kind=ChangeKind.REPLACE,
            series_instance_uid=UID,
            folder=folder,
            targets=(PurePosixPath(".tciad/staging/replaced-1"),),
            keeper=PurePosixPath(".tciad/staging") / UID,
            completed_at=receipt.completed_at,
        )
        ChangeJournal(root).begin([change])
        return change

    async def test_nothing_of_it_is_cleared_from_staging(self, library: LocalLibrary, root: Path, change: Change) -> None:
        """Whatever the store believes of the series."""
        (root / change.folder).rename(root / change.targets[0])
        assert await library.leftovers.clear_staging() == 0
        assert images_in(root / change.targets[0]) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    @pytest.mark.parametrize("renames", [0, 1, 2])
    async def test_killed_between_the_renames(self, root: Path, change: Change, renames: int) -> None:
        """One whole version lies in its place afterwards: the newer one once the older had to give way."""
        steps = [(change.folder, change.targets[0]), (change.stays, change.folder)]
        for source, target in steps[:renames]:
            (root / source).rename(root / target)
        assert await finish_all(root) == [DONE]
        assert images_in(root / change.folder) == ({"1-01.dcm", "1-02.dcm", "1-03.dcm"} if renames == 0 else {"1-1.dcm"})
        assert LocalLibrary(root).find_receipt(SERIES) is not None
        left = {path.name for path in (root / ".tciad" / "staging").iterdir()}
        assert left == ({UID} if renames == 0 else set())

    async def test_the_older_version_comes_back_where_the_newer_is_gone(self, root: Path, change: Change) -> None:
        """Somebody emptied staging, or the disk lost it."""
        (root / change.folder).rename(root / change.targets[0])
        shutil.rmtree(root / change.stays)
        assert await finish_all(root) == [DONE]
        assert images_in(root / change.folder) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    async def test_what_no_receipt_vouches_for_is_kept(self, library: LocalLibrary, root: Path) -> None:
        """Damaged images go into quarantine, whole, once the series has come again."""
        folder = store(library, SERIES)
        await library.changes.carry_out(Change(kind=ChangeKind.DOUBT, series_instance_uid=UID, folder=folder))
        (root / folder / "notes").mkdir()
        assert library.find_receipt(SERIES) is None
        staging = library.begin(SERIES)
        take_all(staging, NEWER)
        place = staging.commit(receipt_of(SERIES, staging.named_images()))
        assert (place.folder, images_in(root / folder)) == (folder, {"1-1.dcm"})
        assert place.quarantined is not None
        assert {path.name for path in (root / place.quarantined).iterdir()} == {
            DOUBTED_NAME,
            "notes",
            "1-01.dcm",
            "1-02.dcm",
            "1-03.dcm",
        }
        assert await finish_all(root) == []

    async def test_a_doubted_folder_has_its_place_in_every_layout(self, root: Path) -> None:
        """Also where the folder's name alone does not tell which series it is."""
        library = LocalLibrary(root, layout="descriptive")
        folder = store(library, SERIES)
        await library.changes.carry_out(Change(kind=ChangeKind.DOUBT, series_instance_uid=UID, folder=folder))
        assert await library.reader.holds(folder, UID)
        assert store(library, SERIES) == folder


class TestClearing:
    """A former folder goes once the series lies elsewhere."""

    @pytest.fixture
    def folder(self, library: LocalLibrary) -> PurePosixPath:
        """Where the older version lies."""
        return store(library, SERIES)

    async def clear(self, library: LocalLibrary, folder: PurePosixPath, keeper: str) -> None:
        change = Change(kind=ChangeKind.CLEAR, series_instance_uid=UID, folder=folder, keeper=PurePosixPath(keeper))
        await library.changes.begin([change])

    async def test_a_newer_version_that_came_is_told_and_the_former_goes(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath
    ) -> None:
        """As the attempt would have done that was killed."""
        await self.clear(library, folder, "new")
        await copy_to(root, folder, "new", later_seconds=1)
        assert await finish_all(root) == [replace(DONE, lies_in=PurePosixPath("new"))]
        assert not (root / folder).exists()
        assert images_in(root / "new") == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    @pytest.mark.parametrize("later_seconds", [None, 0, -1])
    async def test_the_former_stays_where_nothing_newer_came(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath, later_seconds: float | None
    ) -> None:
        """The attempt was killed before it brought anything; what lies there may be of long ago."""
        await self.clear(library, folder, "new")
        if later_seconds is not None:
            await copy_to(root, folder, "new", later_seconds=later_seconds)
        assert await finish_all(root) == [DONE]
        assert images_in(root / folder) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    async def test_the_former_stays_where_the_newer_is_not_whole(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath
    ) -> None:
        """Nothing whole is removed before something whole stands in its place."""
        await self.clear(library, folder, "new")
        await copy_to(root, folder, "new", later_seconds=1)
        (root / "new" / "1-01.dcm").unlink()
        assert await finish_all(root) == [DONE]
        assert images_in(root / folder) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    async def test_two_names_of_one_folder_are_no_two_folders(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath
    ) -> None:
        """The former one is a link to the newer, or the file system ignores case."""
        (root / "new").symlink_to(root / folder)
        await self.clear(library, folder, "new")
        assert await finish_all(root) == [DONE]
        assert images_in(root / folder) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    @pytest.mark.parametrize("has_receipt", [True, False])
    async def test_a_damaged_former_folder_goes_into_quarantine(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath, has_receipt: bool
    ) -> None:
        """Damaged images are never thrown away."""
        await copy_to(root, folder, "new", later_seconds=1)
        (root / folder / RECEIPT_NAME).rename(root / folder / DOUBTED_NAME)
        if not has_receipt:
            (root / folder / DOUBTED_NAME).unlink()
        await self.clear(library, folder, "new")
        await finish_all(root)
        assert not (root / folder).exists()
        (aside,) = (root / ".tciad" / "quarantine").iterdir()
        assert images_in(aside) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    async def test_another_series_is_not_cleared(self, library: LocalLibrary, root: Path, folder: PurePosixPath) -> None:
        """Whatever the record says of it."""
        other = store(library, replace(SERIES, series_instance_uid="1.2.3"))
        change = Change(kind=ChangeKind.CLEAR, series_instance_uid=UID, folder=other, keeper=folder)
        with pytest.raises(LibraryError, match="something else"):
            await library.changes.carry_out(change)
        assert images_in(root / other) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}


class TestTakingOut:
    """Quarantine and deletion."""

    @pytest.fixture
    def folder(self, library: LocalLibrary) -> PurePosixPath:
        """Where the series lies."""
        return store(library, SERIES)

    async def test_a_quarantine_that_did_not_begin_is_undone(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath
    ) -> None:
        """The next run decides again: the archive may list the series by then."""
        await library.changes.begin([await library.changes.plan_quarantine(folder, UID, "withdrawn", START_AT)])
        assert await finish_all(root) == [DONE]
        assert images_in(root / folder) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}
        assert list((root / ".tciad" / "quarantine").iterdir()) == []

    async def test_a_quarantine_that_happened_is_told(self, library: LocalLibrary, root: Path, folder: PurePosixPath) -> None:
        """The library has the series no more."""
        change = await library.changes.plan_quarantine(folder, UID, "withdrawn", START_AT)
        await library.changes.begin([change])
        await library.changes.carry_out(change)
        assert await finish_all(root) == [replace(DONE, is_gone=True)]
        assert images_in(root / change.targets[0]) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    async def test_a_damaged_copy_goes_only_where_the_good_one_is_whole(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath
    ) -> None:
        """Else it stays where it is."""
        keeper = await copy_to(root, folder, "copy")
        image = root / keeper / "1-01.dcm"
        content = image.read_bytes()
        image.write_bytes(b"")
        await library.changes.begin([await library.changes.plan_quarantine(folder, UID, UID, START_AT, keeper)])
        assert await finish_all(root) == [DONE]
        image.write_bytes(content)
        await library.changes.begin([await library.changes.plan_quarantine(folder, UID, UID, START_AT, keeper)])
        assert await finish_all(root) == [replace(DONE, lies_in=keeper)]
        assert not (root / folder).exists()

    async def test_a_series_inside_a_folder_stays_when_the_folder_goes(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath
    ) -> None:
        """Two layouts had nested the newer version in the older one's folder. Also after a kill in the middle."""
        keeper = await copy_to(root, folder, f"{folder}/CT")
        change = await library.changes.plan_quarantine(folder, UID, UID, START_AT, keeper)
        await library.changes.begin([change])
        (root / folder / RECEIPT_NAME).rename(root / change.targets[0] / RECEIPT_NAME)
        assert await finish_all(root) == [replace(DONE, lies_in=keeper)]
        assert images_in(root / keeper) == images_in(root / change.targets[0]) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}
        assert [path.name for path in (root / folder).iterdir()] == ["CT"]

    async def test_a_deletion_that_did_not_begin_is_undone(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath
    ) -> None:
        """As a quarantine is."""
        await library.changes.begin([await library.changes.plan_deletion(folder, UID)])
        assert await finish_all(root) == [DONE]
        assert images_in(root / folder) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    async def test_a_deletion_that_began_is_finished(self, library: LocalLibrary, root: Path, folder: PurePosixPath) -> None:
        """What is half deleted is not taken for a series that was left in staging."""
        change = await library.changes.plan_deletion(folder, UID)
        await library.changes.begin([change])
        (root / folder).rename(root / change.targets[0])
        assert await finish_all(root) == [replace(DONE, is_gone=True)]
        assert list((root / ".tciad" / "staging").iterdir()) == []

    @pytest.mark.parametrize("kind", ["quarantine", "deletion"])
    async def test_a_series_that_came_into_the_folder_since_stays(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath, kind: str
    ) -> None:
        """The former one could not be removed to its end, and the archive listed the series again."""
        if kind == "deletion":
            change = await library.changes.plan_deletion(folder, UID)
        else:
            change = await library.changes.plan_quarantine(folder, UID, UID, START_AT)
        await library.changes.begin([change])
        shutil.copytree(root / folder, root / change.targets[0], dirs_exist_ok=True)
        await touch_receipt(root, folder, later_seconds=1)
        assert await finish_all(root) == [DONE]
        assert library.find_receipt(SERIES) is not None

    @pytest.mark.parametrize("later_seconds", [0, 9])
    async def test_a_newer_version_that_came_beside_the_good_copy_stays(
        self, library: LocalLibrary, root: Path, folder: PurePosixPath, later_seconds: float
    ) -> None:
        """The version that the record means goes, also where the copy that stays is older."""
        keeper = await copy_to(root, folder, "copy", later_seconds=-5)
        await library.changes.begin([await library.changes.plan_quarantine(folder, UID, UID, START_AT, keeper)])
        await touch_receipt(root, folder, later_seconds=later_seconds)
        assert await finish_all(root) == [replace(DONE, lies_in=keeper) if not later_seconds else DONE]
        assert (root / folder).exists() == bool(later_seconds)


class TestMove:
    """A folder gets another name in the tree; which of the places of the layout it got, a kill does not hide."""

    @pytest.mark.parametrize("layout", ["flat", "{collection}/{patient_id}", "descriptive"])
    @pytest.mark.parametrize("moved", [False, True])
    async def test_a_move_is_told_where_it_happened(self, library: LocalLibrary, root: Path, layout: str, moved: bool) -> None:
        """And the store learns nothing where it did not."""
        folder = store(library, SERIES)
        other = LocalLibrary(root, layout=layout)
        change = other.changes.plan_move(folder, SERIES, await completed_at(library, folder))
        assert change is not None
        await other.changes.begin([change])
        target = await place_for(other, folder, SERIES)
        if moved:
            assert await move(other, folder, SERIES) == target
        assert await finish_all(root) == [replace(DONE, lies_in=target if moved else None)]
        assert other.changes.plan_move(target, SERIES, START_AT) is None

    async def test_a_folder_that_stepped_aside_goes_on(self, root: Path) -> None:
        """Old and new place lie in one another: between the two renames the folder has a third name."""
        library = LocalLibrary(root, layout="{collection}/{series_instance_uid}")
        folder = store(library, SERIES)
        other = LocalLibrary(root, layout="{collection}/{series_instance_uid}/{modality}")
        change = other.changes.plan_move(folder, SERIES, await completed_at(library, folder))
        assert change is not None
        await other.changes.begin([change])
        (root / folder).rename(root / folder.with_name(f"{folder.name}~moving"))
        assert await finish_all(root) == [replace(DONE, lies_in=folder / "CT")]
        assert other.find_receipt(SERIES) is not None

    @pytest.mark.parametrize("other_copy", ["older", "not whole"])
    async def test_a_copy_that_lay_in_one_of_the_places_before_is_not_told(
        self, library: LocalLibrary, root: Path, other_copy: str
    ) -> None:
        """Only the version that was moved is, and only where it is whole."""
        folder = store(library, SERIES)
        other = LocalLibrary(root, layout="{modality}/{patient_id}")
        change = other.changes.plan_move(folder, SERIES, await completed_at(library, folder))
        assert change is not None
        best = await copy_to(root, folder, str(change.targets[0]), later_seconds=-9 if other_copy == "older" else 0)
        if other_copy == "not whole":
            (root / best / "1-01.dcm").unlink()
        await other.changes.begin([change])
        target = await place_for(other, folder, SERIES)
        assert target != best
        assert await move(other, folder, SERIES) == target
        assert await finish_all(root) == [replace(DONE, lies_in=target)]

    async def test_another_copy_that_stepped_aside_stays_there(self, root: Path) -> None:
        """An older version under the third name is not what was moved, so it gets no place of the layout."""
        library = LocalLibrary(root, layout="{collection}/{series_instance_uid}")
        folder = store(library, SERIES)
        other = LocalLibrary(root, layout="{collection}/{series_instance_uid}/{modality}")
        change = other.changes.plan_move(folder, SERIES, await completed_at(library, folder))
        assert change is not None
        aside = await copy_to(root, folder, f"{folder}~moving", later_seconds=-9)
        shutil.rmtree(root / folder)
        await other.changes.begin([change])
        assert await finish_all(root) == [DONE]
        assert images_in(root / aside) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}


class TestDoubt:
    """A damaged series whose receipt must not be believed."""

    async def test_a_doubt_is_finished(self, library: LocalLibrary, root: Path) -> None:
        """Before or after the receipt was set aside; the images stay where they are."""
        folder = store(library, SERIES)
        change = Change(kind=ChangeKind.DOUBT, series_instance_uid=UID, folder=folder)
        for _ in range(2):
            await library.changes.begin([change])
            assert await finish_all(root) == [replace(DONE, is_doubted=True)]
            assert library.find_receipt(SERIES) is None
            assert await library.reader.doubted_receipt(folder) is not None
        assert images_in(root / folder) == {"1-01.dcm", "1-02.dcm", "1-03.dcm"}

    async def test_a_receipt_that_came_later_is_not_doubted(self, library: LocalLibrary, root: Path) -> None:
        """The series was fetched again since the record was written."""
        folder = store(library, SERIES)
        await library.changes.begin([await library.changes.plan_doubt(folder, UID)])
        await touch_receipt(root, folder, later_seconds=1)
        assert await finish_all(root) == [DONE]
        assert library.find_receipt(SERIES) is not None

    async def test_a_record_of_an_earlier_tciad_is_finished(self, library: LocalLibrary, root: Path) -> None:
        """It does not tell which receipt it means."""
        folder = store(library, SERIES)
        record = await library.changes.begin([await library.changes.plan_doubt(folder, UID)])
        path = root / ".tciad" / "intents" / record.name
        document = json.loads(path.read_text())
        del document["changes"][0]["completed_at"]
        path.write_text(json.dumps(document))
        assert await finish_all(root) == [replace(DONE, is_doubted=True)]
        assert library.find_receipt(SERIES) is None


class TestStaging:
    """Nothing whole is deleted from there that is nowhere else."""

    async def test_what_is_whole_in_staging_is_found_and_put_back(self, library: LocalLibrary, root: Path) -> None:
        """With its receipt, into the place of the layout."""
        folder = store(library, SERIES)
        (root / folder).rename(root / ".tciad" / "staging" / "removed-1")
        (found,) = await library.leftovers.whole_staged()
        assert (found.folder, found.receipt.series) == (PurePosixPath(".tciad/staging/removed-1"), SERIES)
        assert await library.reader.proves(found.folder, found.receipt)
        assert (await library.leftovers.put_back(found)).folder == folder
        assert await library.leftovers.whole_staged() == []
        assert library.find_receipt(SERIES) is not None

    async def test_what_is_not_whole_is_not_found(self, library: LocalLibrary, root: Path) -> None:
        """A size that is wrong shows it at once, a content when it is read."""
        folder = store(library, SERIES)
        staged = root / ".tciad" / "staging" / "removed-1"
        (root / folder).rename(staged)
        content = (staged / "1-01.dcm").read_bytes()
        (staged / "1-01.dcm").write_bytes(bytes(len(content)))
        (found,) = await library.leftovers.whole_staged()
        assert not await library.reader.proves(found.folder, found.receipt)
        (staged / "1-01.dcm").unlink()
        assert not await library.reader.proves(found.folder, found.receipt)
        assert await library.leftovers.whole_staged() == []
        assert members_of(SERIES)
