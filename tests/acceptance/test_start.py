"""What starting the command costs: nothing is loaded that only other verbs need."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.argv = ["tciad", *{arguments}]
from downloader.__main__ import main
try:
    main()
finally:
    {told}
"""
LOADED = 'print("loaded:", sorted({libraries} & set(sys.modules)))'


def last_line(program: str) -> str:
    """What the program says in the end."""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    return ended.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "libraries"),
    [
        (["--help"], {"pydicom", "numpy", "matplotlib", "jinja2"}),
        (["--version"], {"pydicom", "numpy", "matplotlib", "jinja2", "aiohttp", "prometheus_client"}),
        (["status", "-o", "nowhere"], {"pydicom", "numpy", "matplotlib", "jinja2", "aiohttp", "prometheus_client"}),
        (["run", "nothing.yaml"], {"pydicom", "numpy", "matplotlib", "jinja2", "prometheus_client"}),
    ],
)
def test_the_command_starts_without_the_libraries_that_only_some_verbs_need(arguments: list[str], libraries: set[str]) -> None:
    """Most of what a short command takes is its start."""
    told = LOADED.format(libraries=libraries)
    assert last_line(PROGRAM.format(arguments=arguments, told=told)) == "loaded: []"


def test_the_garbage_collector_is_at_work_once_the_command_runs() -> None:
    """It is put off only until everything is imported."""
    told = "import gc; print(gc.isenabled())"
    assert last_line(PROGRAM.format(arguments=["--version"], told=told)) == "True"
