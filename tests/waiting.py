"""Time-outs of tests."""

import os
from typing import Final

LONGEST_WAIT_SECONDS: Final = float(os.environ.get("TEST_TCIAD_WAIT_SECONDS", "120"))
"""The time-out of every wait in a test. It only ends a test that hangs: a machine that runs several suites at once needs a minute
for what takes a second otherwise. The time-out of pytest (pyproject.toml) is longer, so that the wait fails first.
"""
