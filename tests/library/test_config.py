"""How a library is laid out is told by the library itself."""

from pathlib import Path

import pytest

from downloader.config.options import StorageFormat
from downloader.errors import LibraryError
from downloader.library.local.library import LocalLibrary
from downloader.library.state.config import LibraryForm, read_form, settle_form, write_form


@pytest.fixture
def root(tmp_path: Path) -> Path:
    LocalLibrary(tmp_path)
    return tmp_path


def test_a_form_is_read_as_it_was_written(root: Path) -> None:
    """None where there is none yet."""
    assert read_form(root) is None
    form = LibraryForm(layout="{modality}/{series_instance_uid}", format=StorageFormat.ZIP, is_moving=True)
    write_form(root, form)
    write_form(root, form)
    assert read_form(root) == form


@pytest.mark.parametrize("content", ["", "{", "[]", '{"layout": 1}', '{"format": "tar"}'])
def test_a_file_that_is_no_form_is_told(root: Path, content: str) -> None:
    """With what to do; it must not pass for the default."""
    (root / ".tciad" / "form.json").write_text(content)
    with pytest.raises(LibraryError, match="does not tell how the library is laid out; remove it"):
        read_form(root)


def test_the_first_run_decides_and_later_ones_follow(root: Path) -> None:
    """Who says nothing gets what is there; the layout of what lies there is not changed by saying another."""
    assert settle_form(root, "flat", None, holds_series=False) == LibraryForm(layout="flat")
    assert settle_form(root, None, None, holds_series=True) == LibraryForm(layout="flat")
    assert settle_form(root, "idc", StorageFormat.ZIP, holds_series=True) == LibraryForm(layout="flat", format=StorageFormat.ZIP)
    assert settle_form(root, None, None, holds_series=True).format is StorageFormat.ZIP
    assert settle_form(root, "idc", None, holds_series=False).layout == "idc"
