"""How a library is laid out, as the library itself keeps it."""

from pathlib import Path

import pytest

from downloader.config.options import StorageFormat
from downloader.errors import LibraryError
from downloader.library.config import settle_config
from downloader.library.local.library import LocalLibrary
from downloader.library.model import LibraryConfig
from downloader.library.port import LibraryState

pytestmark = pytest.mark.anyio


@pytest.fixture
def state(tmp_path: Path) -> LibraryState:
    return LocalLibrary(tmp_path).state


async def test_a_config_is_read_as_it_was_written(state: LibraryState) -> None:
    """None where there is none yet."""
    assert await state.config() is None
    config = LibraryConfig(layout="{modality}/{series_instance_uid}", format=StorageFormat.ZIP, is_moving=True)
    await state.write_config(config)
    await state.write_config(config)
    assert await state.config() == config


@pytest.mark.parametrize("content", ["", "{", "[]", '{"layout": 1}', '{"format": "tar"}'])
async def test_a_file_that_is_no_config_is_an_error(tmp_path: Path, state: LibraryState, content: str) -> None:
    """With what to do; it must not pass for the default."""
    (tmp_path / ".tciad" / "form.json").write_text(content)
    with pytest.raises(LibraryError, match="does not contain the layout of the library; remove it"):
        await state.config()


async def test_the_first_run_decides_and_later_ones_follow(state: LibraryState) -> None:
    """A run that says nothing gets what is there; the layout of what lies there is not changed by saying another."""
    assert await settle_config(state, "flat", None, holds_series=False) == LibraryConfig(layout="flat")
    assert await settle_config(state, None, None, holds_series=True) == LibraryConfig(layout="flat")
    as_zip = LibraryConfig(layout="flat", format=StorageFormat.ZIP)
    assert await settle_config(state, "idc", StorageFormat.ZIP, holds_series=True) == as_zip
    assert (await settle_config(state, None, None, holds_series=True)).format is StorageFormat.ZIP
    assert (await settle_config(state, "idc", None, holds_series=False)).layout == "idc"
