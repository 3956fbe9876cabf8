"""What every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from downloader.redaction import forget_secrets


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio: aiohttp knows no other loop."""
    return "asyncio"


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where pictures of pages are kept, for people to look at."""
    folder = Path(__file__).parents[1] / "build" / "artefacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Undo what a command that ran inside the test set up: structlog's set-up belongs to the whole process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def secrets_of_this_test_only() -> Iterator[None]:
    """Forget the secrets that the test registered: they would be masked in the messages of the next."""
    yield
    forget_secrets()
