"""What archives said of their collections, as it is kept with a library."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from downloader.library.model import StoredDescription
from downloader.library.state.descriptions import DESCRIPTIONS_NAME, read_descriptions, write_descriptions
from downloader.own_folder import OWN_FOLDER

KEPT = (
    StoredDescription(
        archive="tcia", collection="A", text="Lungs\nMore µ", uri="https://doi.org/x", asked_at=datetime(2026, 1, 2, tzinfo=UTC)
    ),
    StoredDescription(archive="tcia", collection="B", text="", uri="", asked_at=datetime(2026, 1, 3, tzinfo=UTC)),
)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    """Each time the whole of it; nothing before the first time."""
    (tmp_path / OWN_FOLDER).mkdir()
    assert tuple(read_descriptions(tmp_path)) == ()
    write_descriptions(tmp_path, KEPT)
    assert tuple(read_descriptions(tmp_path)) == KEPT
    write_descriptions(tmp_path, KEPT[:1])
    assert tuple(read_descriptions(tmp_path)) == KEPT[:1]
    assert [path.name for path in (tmp_path / OWN_FOLDER).iterdir()] == [DESCRIPTIONS_NAME]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'[{"archive": "tcia"}]', b"[" * 100_000])
def test_what_cannot_be_read_is_asked_for_again(tmp_path: Path, content: bytes) -> None:
    """It proves nothing, so nothing is lost."""
    (tmp_path / OWN_FOLDER).mkdir()
    (tmp_path / OWN_FOLDER / DESCRIPTIONS_NAME).write_bytes(content)
    assert tuple(read_descriptions(tmp_path)) == ()
