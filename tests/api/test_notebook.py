"""The example notebook runs from top to bottom, in a real kernel."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from downloader.ui.notebook import Html, NotebookCount
from tests.fakes.clock import FakeClock
from tests.tools import import_package
from tests.waiting import LONGEST_WAIT_SECONDS

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.ipynb"))


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 - nbformat has no types
    """The notebook with its outputs; a cell that raises fails here."""
    notebook = import_package("nbformat").read(request.param, as_version=4)
    folder = tmp_path_factory.mktemp("notebook")
    import_package("nbclient").NotebookClient(
        notebook, timeout=int(LONGEST_WAIT_SECONDS), kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def texts_of(notebook: Any, kind: str) -> list[str]:  # noqa: ANN401
    """What the cells show as `kind`, such as text/html; or what they print, for stdout and stderr."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output.data[kind] for output in outputs if kind in output.get("data", {})]
    return shown + [output.text for output in outputs if output.get("name") == kind]


@pytest.mark.extras
@pytest.mark.needs("nbclient", "pandas", "matplotlib")
def test_every_cell_runs(executed: Any) -> None:  # noqa: ANN401
    """It plans, runs and tells how that ended."""
    assert "cohort: complete" in "\n".join(texts_of(executed, "stdout"))


@pytest.mark.extras
@pytest.mark.needs("nbclient", "pandas", "matplotlib")
def test_progress_is_a_bar_below_the_cell(executed: Any) -> None:  # noqa: ANN401
    """It stands at the end of the run, in place of the lines that a terminal would get."""
    bars = [text for text in texts_of(executed, "text/html") if "tciad-progress" in text]
    assert bars
    assert all("<progress" in bar and "series" in bar for bar in bars)
    assert texts_of(executed, "stderr") == []


@pytest.mark.extras
@pytest.mark.needs("nbclient", "pandas", "matplotlib")
def test_verifying_shows_a_bar_too(executed: Any) -> None:  # noqa: ANN401
    """At its end it tells how many series were read."""
    (cell,) = [cell for cell in executed.cells if "tciad.verify(" in cell.source]
    bars = [
        output.data["text/html"] for output in cell.outputs if "tciad-progress" in output.get("data", {}).get("text/html", "")
    ]
    assert bars
    assert re.search(r'<progress max="([0-9]+)" value="\1"', bars[0])
    assert " read, " in bars[0]


def test_a_count_is_drawn_from_time_to_time() -> None:
    """Not with every series; and where the number is unknown, the bar has no end."""
    clock = FakeClock()
    pictures: list[Html] = []

    class Shown:
        def update(self, shown: object) -> None:
            assert isinstance(shown, Html)
            pictures.append(shown)

    def show(picture: Html) -> Shown:
        pictures.append(picture)
        return Shown()

    count = NotebookCount(clock, show)
    count.begin("examined", None)
    first = len(pictures)
    for _ in range(100):
        count.advance(1, 1000)
    assert len(pictures) == first
    clock.elapsed_seconds = 1.0
    count.advance(1, 1000)
    assert len(pictures) == first + 1
    assert repr(pictures[-1]) == "examined: 101 series, 101 kB read, 101 kB/s, 1.0 s"
    assert "max=" not in pictures[-1]._repr_html_()
    count.begin("checked <b>", 200)
    count.advance(7)
    count.draw()
    assert 'max="200" value="7"' in pictures[-1]._repr_html_()
    assert "checked &lt;b&gt;: 7 of 200 series" in pictures[-1]._repr_html_()


def test_the_notebook_is_kept_without_outputs() -> None:
    """Outputs would differ with every run, and go stale."""
    for path in NOTEBOOKS:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert all(not cell.get("outputs") for cell in notebook["cells"])
