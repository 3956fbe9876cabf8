"""How long a test waits for what must come."""

import os
from typing import Final

LONGEST_WAIT_SECONDS: Final = float(os.environ.get("TCIAD_TEST_WAIT_SECONDS", "120"))
"""The bound of every wait in a test. It ends a test that hangs and decides nothing else: a machine that runs several suites at
once needs a minute for what takes a second on a quiet one. The time-out of pytest (pyproject.toml) is longer, so that the wait
is what fails."""
