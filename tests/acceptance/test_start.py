"""What starting the command costs: nothing is loaded that only other verbs need."""

import subprocess
import sys

PROGRAM = """
import sys
sys.argv = ["tciad", "--version"]
from downloader.__main__ import main
try:
    main()
finally:
    loaded = {"pydicom", "numpy", "matplotlib", "jinja2"} & set(sys.modules)
    print("loaded:", sorted(loaded))
"""


def test_the_command_starts_without_the_libraries_that_only_some_verbs_need() -> None:
    output = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout

    assert output.splitlines()[-1] == "loaded: []"


def test_the_garbage_collector_is_at_work_once_the_command_runs() -> None:
    program = PROGRAM.replace('print("loaded:", sorted(loaded))', "import gc; print(gc.isenabled())")

    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert output.splitlines()[-1] == "True"
