"""`make docs` builds pages in which the Python API is whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from downloader import api

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.extras
@pytest.mark.needs("sphinx")
def test_the_pages_build_without_warnings(tmp_path: Path) -> None:
    """A broken reference, or a docstring that is no reStructuredText, fails the build."""
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", DOCS, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (built.returncode, built.stderr) == (0, "")
    page = (tmp_path / "python.html").read_text(encoding="utf-8")
    missing = [name for name in api.__all__ if f'id="downloader.api.{name}"' not in page]
    assert missing == []


def test_every_page_is_in_the_table_of_contents() -> None:
    """A document that nothing leads to is not read."""
    contents = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = [path.stem for path in sorted(DOCS.iterdir()) if path.suffix in {".md", ".rst"} and path.stem != "index"]
    assert [page for page in pages if f"\n{page}\n" not in contents] == []
