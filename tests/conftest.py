"""Fixtures and hooks for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from downloader.redaction import forget_secrets
from tests.tools import require_tool

# Some systems list hundreds of certificate authorities here. Every client would read them, and no test uses a public host.
os.environ.pop("SSL_CERT_FILE", None)


def is_long(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether the test is marked `long`, or with a marker that pyproject.toml describes as long."""
    kinds = [line.partition(":")[0] for line in config.getini("markers") if ": long" in line]
    return any(item.get_closest_marker(kind) for kind in ("long", *kinds))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the long tests, unless `-m` selects them or the command line names their file."""
    long = [item for item in items if is_long(item, config)]
    for item in long:
        item.add_marker("long")
    # these take minutes each: if they started last, one process would be busy after the others have finished
    items.sort(key=lambda item: item.get_closest_marker("container") is None)
    if config.option.markexpr:
        return
    named = {(config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args}
    left_out = {item for item in long if item.path not in named}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose tools are missing."""
    for marker in item.iter_markers("needs"):
        for tool in marker.args:
            require_tool(tool)


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio: aiohttp knows no other loop."""
    return "asyncio"


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """The folder for screenshots of pages, for people to look at."""
    folder = Path(__file__).parents[1] / "build" / "artefacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Restore the configuration of structlog, which belongs to the process, after a test that ran a command."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def secrets_of_this_test_only() -> Iterator[None]:
    """Forget the secrets of the test: they would be masked in the messages of the next one."""
    yield
    forget_secrets()
