"""The library on a file system of this machine. Everything here blocks: call it in a worker thread.

`library.py` implements the port. A series is built in `staging.py` (in memory while it is small) or `zip_staging.py`, and put
under its final name by `tree.py`. Moves, replacements and removals are written to `change_journal.py` before `changes.py` carries
them out, so that a killed process leaves nothing half done for good. `filesystem.py` has the calls that make something durable,
and turns the errors of the system into ours.

No link inside the library is ever followed.
"""
