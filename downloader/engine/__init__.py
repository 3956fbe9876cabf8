"""Composition root: the only code that names concrete classes, and that opens and closes them.

`mirror.py` opens a run: library, store, HTTP client, archives, scheduler. `maintenance.py` opens verification, repair and the
other maintenance. `holding.py` locks a library together with its store; it refuses a store whose series belong to another
library. `state_store.py` opens the store alone, for readers.

Rules about series are in the rooms below, not here.
"""
