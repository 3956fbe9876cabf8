"""The library on a local file system. Everything here blocks: call it in a worker thread.

`library.py` implements the port. A series is built in `staging.py` (in memory while it is small) or `zip_staging.py`, and renamed
into the tree by `tree.py`. Moves, replacements and removals are recorded in `change_journal.py` before `changes.py` carries them
out, so that a later start can finish them after a kill. `filesystem.py` has the calls that make files durable, and translates
errors of the system.

Links inside the library are never followed.
"""
