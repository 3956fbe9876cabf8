"""A run of one manifest over one library.

The steps of `run.py`: check the complete series (`presence.py`), resolve the manifest into the store (`resolve.py`), fetch what
is due, prove weak series again (`strengthening.py`), remove what the archive withdrew (`withdrawal.py`), report. `plan.py` finds
what a run would do; `leftovers.py` clears the staging of earlier runs.

A run ends as `complete` only if it found the receipts of its complete series in the library, or of a random sample on a slow file
system.
"""
