"""Results of the domain: reports of runs, plans, verifications, repairs, adoptions and moves, findings, checks and counts.

Each module has one kind of result. Reports are frozen, and `as_json` gives the document that the command prints and a library
keeps. Counts that grow during the work are mutable objects (`counter.py`, `changes.py`, the tallies), which the report includes.
`listeners.py` has the protocols of progress listeners.

Nothing here does I/O or renders: the domain creates results, and `ui` shows them.
"""
