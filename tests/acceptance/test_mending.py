"""`verify`, `retry` and `store rebuild` as commands: what is wrong is found and mended, and what is right is left alone."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import RECEIPT_NAME, assert_mirrors, receipts_of, serve_archive, small_catalogue
from tests.acceptance.command import COMMAND, Ended, clean_environment, end_of, run_command, start_command
from tests.acceptance.crashes import Mirror, mirror_of, store_says_complete

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

SERIES = 5
IMAGES = 3
VERIFY_KEYS = [
    "library",
    "outcome",
    "exit_code",
    "deep",
    "upstream",
    "series",
    "images",
    "stored_bytes",
    "read_bytes",
    "elapsed_seconds",
    "kinds",
    "findings",
    "proof",
    "weak",
    "unread_series",
    "repair",
]


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    """A whole mirror of a small archive."""
    with serve_archive(small_catalogue(SERIES, images=IMAGES)) as archive:
        mirror = mirror_of(archive, tmp_path)
        assert mirror.run().exit_code == 0
        yield mirror


def verify(mirror: Mirror, *flags: str) -> Ended:
    return run_command("verify", mirror.manifest, "-o", mirror.library, "--json", *flags)


def folder_of(mirror: Mirror, number: int = 0) -> Path:
    """Where one of the series lies."""
    return sorted(folder for folder, _ in receipts_of(mirror.library).values())[number]


def image_of(mirror: Mirror, number: int = 0) -> Path:
    return min(folder_of(mirror, number).glob("*.dcm"))


def flip_a_bit(path: Path) -> None:
    """Rot: another content of the same size and time."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[Random(1).randrange(len(content))] ^= 4
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def remove_store(library: Path) -> None:
    for path in (library / ".tciad").glob("state.db*"):
        path.unlink()


@pytest.mark.needs("strace")
def test_a_receipt_that_the_disk_does_not_give_back_is_damaged(mirror: Mirror) -> None:
    """A bad sector ends no verification: the series is set aside, and comes again to another place of the disk."""
    receipt = folder_of(mirror) / RECEIPT_NAME
    traced = ["strace", "-f", "-qq", "-o", os.devnull, "-P", str(receipt), "-e", "trace=read", "-e", "inject=read:error=EIO"]
    arguments = [str(mirror.manifest), "-o", str(mirror.library), "--json"]
    ended = subprocess.run(
        [*traced, *COMMAND, "verify", *arguments], env=clean_environment(), capture_output=True, check=False, text=True
    )
    assert json.loads(ended.stdout)["kinds"] == {"damaged-receipt": 1}, ended.stderr
    assert ended.returncode == 3


def test_series_of_weak_proof_are_listed_and_no_findings(tmp_path: Path) -> None:
    """With `--weak`; without it they are counted."""
    with serve_archive(small_catalogue(2, images=IMAGES)) as archive:
        mirror = mirror_of(archive, tmp_path)
        mirror.manifest.write_text(mirror.manifest.read_text() + "download: {md5: off}\n")
        assert mirror.run().exit_code == 0
        document = verify(mirror).document
        assert (document["outcome"], document["findings"]) == ("sound", [])
        assert document["proof"] == {"all": 0, "some": 0, "none": 2}
        assert [one["digests"] for one in document["weak"]] == ["none", "none"]
        told = run_command("verify", "-o", mirror.library, "--weak")
        assert told.exit_code == 0
        assert told.stdout.count("proof-by-none  Sandbox/") == 2
        assert "none of 2" in told.stdout
        assert "proof-by-none" not in run_command("verify", "-o", mirror.library).stdout


@pytest.mark.parametrize("flags", [(), ("--deep",), ("--upstream",), ("--deep", "--upstream", "--repair")])
def test_a_sound_library_is_sound(mirror: Mirror, flags: tuple[str, ...]) -> None:
    """Exit 0, the counts of the library, and nothing is downloaded."""
    downloads = mirror.archive.downloads

    ended = verify(mirror, *flags)

    assert ended.exit_code == 0, ended.stdout + ended.stderr
    document = ended.document
    assert list(document) == VERIFY_KEYS
    assert (document["outcome"], document["findings"], document["kinds"]) == ("sound", [], {})
    assert (document["series"], document["images"]) == (SERIES, SERIES * IMAGES)
    assert document["read_bytes"] == (document["stored_bytes"] if "--deep" in flags else 0)
    assert mirror.archive.downloads == downloads
    assert mirror.archive.sandbox.count("getMD5Hierarchy") == (SERIES if "--upstream" in flags else 0)


def test_rot_is_found_by_reading_and_mended(mirror: Mirror) -> None:
    """A flipped bit is in no name and no size: --deep finds it, --repair fetches that series and keeps the bad one aside."""
    flip_a_bit(image_of(mirror))
    downloads = mirror.archive.downloads

    assert verify(mirror).document["outcome"] == "sound"
    found = verify(mirror, "--deep")
    assert (found.exit_code, found.document["kinds"]) == (3, {"wrong-md5": 1})
    assert found.document["findings"][0]["path"] == str(image_of(mirror).relative_to(mirror.library))

    mended = verify(mirror, "--deep", "--repair")

    assert (mended.exit_code, mended.document["outcome"]) == (0, "mended"), mended.stdout
    assert mended.document["repair"]["fetched"] == 1
    assert mirror.archive.downloads == downloads + 1
    (aside,) = (mirror.library / ".tciad" / "quarantine").iterdir()
    assert len(list(aside.glob("*.dcm"))) == IMAGES
    assert_mirrors(mirror.library, mirror.archive)
    assert verify(mirror, "--deep").document["outcome"] == "sound"


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (lambda mirror: image_of(mirror).unlink(), "missing-image"),
        (lambda mirror: image_of(mirror).write_bytes(b"short"), "wrong-size"),
        (lambda mirror: (folder_of(mirror) / "notes.txt").write_text("mine"), "unknown-file"),
        (lambda mirror: shutil.rmtree(folder_of(mirror)), "missing-folder"),
        (lambda mirror: (folder_of(mirror) / ".receipt.json").unlink(), "missing-receipt"),
        (lambda mirror: (folder_of(mirror) / ".receipt.json").write_text("{}"), "damaged-receipt"),
        (lambda mirror: shutil.copytree(folder_of(mirror), mirror.library / "copy"), "second-copy"),
        (lambda mirror: folder_of(mirror).rename(mirror.library / "elsewhere"), "other-folder"),
    ],
)
def test_whatever_is_wrong_is_found_and_mended(mirror: Mirror, harm: object, kind: str) -> None:
    """Found by its kind, exit 3; after --repair the library is as the archive is, and verify has nothing more to say."""
    assert callable(harm)
    harm(mirror)

    found = verify(mirror)
    assert (found.exit_code, found.document["outcome"]) == (3, "unsound")
    assert kind in found.document["kinds"]

    mended = verify(mirror, "--repair")
    assert (mended.exit_code, mended.document["outcome"]) == (0, "mended"), mended.stdout
    after = verify(mirror, "--deep")
    assert (after.exit_code, after.document["outcome"]) == (0, "sound"), after.stdout
    assert store_says_complete(mirror.library) == set(receipts_of(mirror.library)) == set(mirror.archive.public_series())


def test_what_the_archive_changed_is_found_without_a_download(tmp_path: Path) -> None:
    """Trap 20: one image is another in the archive now, as many and as large as before; only its digests tell."""
    with serve_archive(small_catalogue(2)) as archive:
        mirror = mirror_of(archive, tmp_path)
        assert mirror.run().exit_code == 0
        flip_a_bit(image_of(mirror))
        receipt = folder_of(mirror) / ".receipt.json"
        document = json.loads(receipt.read_text())
        document["images"][0]["md5"] = "0" * 32
        receipt.write_text(json.dumps(document))
        downloads = archive.downloads

        found = verify(mirror, "--upstream")

        assert (found.exit_code, found.document["kinds"]) == (3, {"upstream-differs": 1}), found.stdout
        assert archive.downloads == downloads
        assert verify(mirror, "--upstream", "--repair").document["outcome"] == "mended"
        assert_mirrors(mirror.library, archive)


def test_a_repair_without_its_archive_says_so_and_changes_nothing(mirror: Mirror) -> None:
    """Nothing is moved into quarantine that could not be fetched again."""
    image_of(mirror).unlink()

    ended = run_command("verify", "-o", mirror.library, "--repair", "--json")

    assert (ended.exit_code, ended.document["outcome"]) == (3, "unsound")
    assert "name a manifest of it" in ended.document["repair"]["left"][0]["sentence"]
    assert list((mirror.library / ".tciad" / "quarantine").iterdir()) == []


def test_a_repair_and_a_run_exclude_each_other(tmp_path: Path) -> None:
    """Exit 6; a plain verify may look on while a run goes on."""
    stall = Fault(kind=FaultKind.STALL, at_bytes=0, times=1)
    with serve_archive(small_catalogue(3), faults=[stall]) as archive:
        mirror = mirror_of(archive, tmp_path)
        with start_command("run", mirror.manifest, "-o", mirror.library) as holder:
            archive.wait_for_stall()
            assert verify(mirror).exit_code == 0
            refused = run_command("verify", mirror.manifest, "-o", mirror.library, "--repair")
            assert refused.exit_code == 6
            assert f"process {holder.pid}" in refused.stderr
            archive.release()
            end_of(holder)


def test_people_get_sentences(mirror: Mirror) -> None:
    """A line for each finding, the verdict, and what to do next."""
    image_of(mirror).unlink()

    ended = run_command("verify", "-o", mirror.library)

    assert ended.exit_code == 3
    assert "the image is missing" in ended.stdout
    assert "repair them with `tciad verify --repair`" in ended.stdout


def test_people_are_told_what_was_compared(mirror: Mirror) -> None:
    """`--upstream` asks the archive, and a store that was set aside need not have been damaged."""
    upstream = run_command("verify", "-o", mirror.library, "--upstream", mirror.manifest)
    assert "checked by name and size, and compared with the archive, in" in upstream.stdout

    rebuilt = run_command("store", "rebuild", "-o", mirror.library)
    assert "damaged" not in rebuilt.stdout
    assert "the previous store is kept as" in rebuilt.stdout


@pytest.mark.parametrize("verb", [("verify",), ("retry",)])
def test_a_folder_that_is_no_library_is_refused(tmp_path: Path, verb: tuple[str, ...]) -> None:
    """Exit 6 and the next step, and nothing is made there."""
    ended = run_command(*verb, "-o", tmp_path / "nothing")

    assert ended.exit_code == 6
    assert "name the library with -o" in ended.stderr
    assert not (tmp_path / "nothing").exists()


def test_retry_puts_failed_series_back(tmp_path: Path) -> None:
    """It names them; the next run fetches them."""
    faults = [Fault(kind=FaultKind.WRONG_HASH, times=2)]
    with serve_archive(small_catalogue(4), faults=faults) as archive:
        mirror = mirror_of(archive, tmp_path)
        first = run_command("run", mirror.manifest, "-o", mirror.library, "--attempts", "1", "--json")
        assert (first.exit_code, first.document["series"]["failed"]) == (3, 2)

        ended = run_command("retry", "-o", mirror.library, "--json")

        assert (ended.exit_code, ended.document["put_back"]) == (0, 2)
        assert run_command("failures", "-o", mirror.library, "--json").document == []
        assert run_command("retry", "-o", mirror.library).stdout == "0 series put back into the queue\n"
        mirror.assert_goes_on()
        assert run_command("retry", "-o", mirror.library, "--manifest", "none").exit_code == 2


def test_a_lost_store_is_rebuilt_from_receipts(mirror: Mirror) -> None:
    """Whole, without a download; verbs that need it say how."""
    remove_store(mirror.library)
    refused = run_command("status", "-o", mirror.library)
    assert (refused.exit_code, "tciad store rebuild" in refused.stderr) == (6, True)

    ended = run_command("store", "rebuild", "-o", mirror.library, "--json")

    assert ended.exit_code == 0, ended.stdout
    assert (ended.document["series"], ended.document["images"], ended.document["damaged"]) == (SERIES, SERIES * IMAGES, None)
    assert store_says_complete(mirror.library) == set(mirror.archive.public_series())
    downloads = mirror.archive.downloads
    assert mirror.run().document["series"]["already_complete"] == SERIES
    assert mirror.archive.downloads == downloads


def test_a_damaged_store_is_found_kept_aside_and_rebuilt(mirror: Mirror) -> None:
    """A run stops with exit 6 and says how to mend it; nothing of the damaged one is thrown away."""
    store = mirror.library / ".tciad" / "state.db"
    content = bytearray(store.read_bytes())
    content[5_000:9_000] = bytes(4_000)
    store.write_bytes(content)

    refused = mirror.run()
    assert refused.exit_code == 6
    assert "is damaged" in refused.document["error"]
    assert "tciad store rebuild" in refused.document["error"]

    rebuilt = run_command("store", "rebuild", "-o", mirror.library, "--json")

    assert rebuilt.exit_code == 0, rebuilt.stdout + rebuilt.stderr
    assert Path(rebuilt.document["damaged"]).read_bytes() == content
    downloads = mirror.archive.downloads
    assert mirror.run().exit_code == 0
    assert mirror.archive.downloads == downloads
    assert_mirrors(mirror.library, mirror.archive)


def test_a_rebuild_believes_only_what_lies_there(mirror: Mirror) -> None:
    """A series with an image missing is left out and said; the next run fetches it, and only it."""
    image_of(mirror).unlink()
    remove_store(mirror.library)

    ended = run_command("store", "rebuild", "-o", mirror.library, "--json")

    assert (ended.exit_code, ended.document["series"]) == (3, SERIES - 1)
    assert [finding["kind"] for finding in ended.document["findings"]] == ["missing-image"]
    downloads = mirror.archive.downloads
    assert mirror.run().exit_code == 0
    assert mirror.archive.downloads == downloads + 1
    assert_mirrors(mirror.library, mirror.archive)


def test_a_rebuild_needs_a_library(tmp_path: Path) -> None:
    """Exit 5, and nothing is made."""
    ended = run_command("store", "rebuild", "-o", tmp_path / "nothing")

    assert (ended.exit_code, "is not a library" in ended.stderr) == (5, True)
    assert not (tmp_path / "nothing").exists()
