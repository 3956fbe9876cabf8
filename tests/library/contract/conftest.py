"""Each test runs on every library, in layouts that give a series a folder of its own and in such as do not."""

from pathlib import Path

import pytest

from downloader.library.port import Library
from tests.library.contract.subjects import LocalSubject, MemorySubject, Subject


@pytest.fixture(params=["classic", "descriptive", "idc", "flat", "{modality}/{patient_id}"])
def layout(request: pytest.FixtureRequest) -> str:
    """How the library is laid out."""
    layout: str = request.param
    return layout


@pytest.fixture(params=["local", "memory"])
def subject(request: pytest.FixtureRequest, layout: str, tmp_path: Path) -> Subject:
    """A new library."""
    if request.param == "local":
        return LocalSubject(tmp_path / "library", layout)
    return MemorySubject(layout)


@pytest.fixture
def library(subject: Subject) -> Library:
    """The library itself."""
    return subject.library
