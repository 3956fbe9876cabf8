"""Programs, packages and rights that some tests need in addition to the extra `test`.

A test names its needs: `@pytest.mark.needs("promtool")`. If one is missing, the test is skipped and says what to install. With
TEST_TCIAD_TOOLS=required, which `.ci/run` sets, it fails instead, so that CI cannot lose a test silently.
"""

import importlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final, NoReturn

import pytest

SYSTEM_ENVIRONMENT: Final[Mapping[str, str]] = dict(os.environ)
"""The environment before the tests changed it: for programs that use a package registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A requirement of a test: how to detect it, and where to get it."""

    is_here: Callable[[], bool]
    source: str


def _have_program(*names: str) -> bool:
    return any(shutil.which(name) for name in names)


def _have_package(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@cache
def can_trace() -> bool:
    """Whether strace is installed and may trace."""
    if not _have_program("strace"):
        return False
    return subprocess.run(["strace", "-f", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0


def _is_root() -> bool:
    return os.geteuid() == 0


def _program(*names: str, package: str) -> Tool:
    return Tool(is_here=partial(_have_program, *names), source=f"Debian's package {package}")


def _package(name: str) -> Tool:
    return Tool(is_here=partial(_have_package, name), source="the extra test-all: make test-all installs it")


TOOLS: Final[Mapping[str, Tool]] = {
    "chromium": _program("chromium", "chromium-browser", "google-chrome", package="chromium"),
    "dcmdump": _program("dcmdump", package="dcmtk"),
    "dciodvfy": _program("dciodvfy", package="dicom3tools"),
    "mmdebstrap": _program("mmdebstrap", package="mmdebstrap"),
    "mount": _program("mount", package="mount"),
    "openssl": _program("openssl", package="openssl"),
    "orthanc": _program("Orthanc", package="orthanc"),
    "podman": _program("podman", package="podman"),
    "promtool": _program("promtool", package="prometheus"),
    "root": Tool(is_here=_is_root, source="running the tests as root"),
    "setpriv": _program("setpriv", package="util-linux"),
    "strace": Tool(is_here=can_trace, source="Debian's package strace, and the right to trace"),
    "systemd-analyze": _program("systemd-analyze", package="systemd"),
    **{
        name: _package(name)
        for name in (
            "check_jsonschema",
            "matplotlib",
            "nbclient",
            "pandas",
            "playwright",
            "polars",
            "pyarrow",
            "sphinx",
            "tcia_utils",
        )
    },
}


def skip_for_want(reason: str) -> NoReturn:
    """Skip the running test, or fail it if every tool is required."""
    if os.environ.get("TEST_TCIAD_TOOLS") == "required":
        pytest.fail(f"{reason}; TEST_TCIAD_TOOLS=required lets no test skip for that", pytrace=False)
    pytest.skip(reason)


def require_tool(name: str) -> None:
    """Return if the tool is here; otherwise skip or fail the running test."""
    if not TOOLS[name].is_here():
        skip_for_want(f"needs {name}: {TOOLS[name].source}")


def import_package(name: str) -> Any:  # noqa: ANN401 - a module
    """The module, or None if it is not installed: tests with `needs` must be collectable without it."""
    return importlib.import_module(name) if _have_package(name.partition(".")[0]) else None
