"""Which files of a folder are manifests, and which version of each is in force."""

import os
from pathlib import Path

import pytest

from downloader.service.manifest_folder import FolderView, ManifestFolder

GOOD = "version: 1\nselect: [{collection: A}]\n"
UID = "1.3.6.1.4.1.14519.5.2.1.1"


@pytest.fixture
def folder(tmp_path: Path) -> ManifestFolder:
    """An empty one."""
    return ManifestFolder(tmp_path)


def names(folder: ManifestFolder) -> list[str]:
    return [file.path.name for file in folder.look().files]


def test_manifests_are_the_yaml_files(folder: ManifestFolder, tmp_path: Path) -> None:
    """Other files and hidden ones are left out."""
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "readme.md", "c.yaml~"):
        (tmp_path / name).write_text(GOOD)
    assert names(folder) == ["a.yml", "b.yaml"]


def test_a_series_list_is_a_manifest_unless_one_names_it(folder: ManifestFolder, tmp_path: Path) -> None:
    """Also while that one is broken."""
    for name in ("own.txt", "part.txt"):
        (tmp_path / name).write_text(f"{UID}\n")
    naming = tmp_path / "m.yaml"
    naming.write_text("version: 1\nselect: [{series_list: part.txt}]\n")
    assert names(folder) == ["m.yaml", "own.txt"]
    naming.write_text("version: 1\nselect: [{series_lst: part.txt}]\n")
    assert names(folder) == ["m.yaml", "own.txt"]
    naming.unlink()
    assert names(folder) == ["own.txt", "part.txt"]


def test_a_changed_list_changes_the_manifest_that_names_it(folder: ManifestFolder, tmp_path: Path) -> None:
    """Although its own file is as it was."""
    (tmp_path / "part.txt").write_text(f"{UID}\n")
    (tmp_path / "m.yaml").write_text("version: 1\nselect: [{series_list: part.txt}]\n")
    (before,) = folder.look().files
    assert folder.look().files == (before,)
    (tmp_path / "part.txt").write_text(f"{UID}\n{UID}.1\n")
    (after,) = folder.look().files
    assert after.manifest is not None
    assert after.manifest.select[0].series_instance_uids == (UID, f"{UID}.1")


def test_what_has_not_changed_is_not_read_again(folder: ManifestFolder, tmp_path: Path) -> None:
    """The same manifest is handed out, also when the file was only touched."""
    path = tmp_path / "m.yaml"
    path.write_text(GOOD)
    first = folder.look().files[0].manifest
    os.utime(path, ns=(1, 1))
    assert folder.look().files[0].manifest is first
    assert folder.look(thoroughly=True).files[0].manifest is first


def test_a_change_that_the_time_does_not_show_is_found_by_a_thorough_look(folder: ManifestFolder, tmp_path: Path) -> None:
    """As at SIGHUP."""
    path = tmp_path / "m.yaml"
    path.write_text(GOOD)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    folder.look()
    path.write_text(GOOD.replace("A", "B"))
    os.utime(path, ns=times)
    assert describe(folder.look()) == "collection A"
    assert describe(folder.look(thoroughly=True)) == "collection B"


def describe(view: FolderView) -> str:
    manifest = view.files[0].manifest
    return manifest.select[0].describe() if manifest else ""


def test_a_broken_file_keeps_what_was_good(folder: ManifestFolder, tmp_path: Path) -> None:
    """And a mended one takes over; one that is gone is gone."""
    path = tmp_path / "m.yaml"
    path.write_text(GOOD)
    good = folder.look().files[0].manifest
    path.write_text("version: 2\n")
    (broken,) = folder.look().files
    assert broken.manifest is good
    assert "reads version 1" in broken.problem
    path.write_text(GOOD)
    (mended,) = folder.look().files
    assert (mended.manifest, mended.problem) == (good, "")
    path.unlink()
    assert folder.look().files == ()


def test_of_two_namesakes_the_one_that_came_first_is_in_force(folder: ManifestFolder, tmp_path: Path) -> None:
    """Whatever their files are called; the other takes over when the first goes."""
    (tmp_path / "b.yaml").write_text(f"{GOOD}name: same\n")
    folder.look()
    (tmp_path / "a.yaml").write_text(f"{GOOD}name: same\n")
    for _ in range(2):
        second, first = folder.look().files
        assert (first.manifest is not None, second.manifest) == (True, None)
        assert "both named 'same'" in second.problem
    (tmp_path / "b.yaml").unlink()
    (only,) = folder.look().files
    assert (only.manifest is not None, only.problem) == (True, "")


def test_a_folder_that_cannot_be_read_keeps_everything(folder: ManifestFolder, tmp_path: Path) -> None:
    """It is reported, and nothing else happens."""
    (tmp_path / "m.yaml").write_text(GOOD)
    before = folder.look()
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    view = folder.look()
    assert "cannot be read" in view.problem
    assert view.files == before.files
    moved.rename(tmp_path)
    assert folder.look() == before
