"""What the domain found out: reports of runs, plans, verifications, repairs, adoptions and moves, findings, checks and counts.

Each module has one kind of result. Reports are frozen, and `as_json` gives the document that the command prints and a library
keeps. What is counted while work goes on is a plain object (`counter.py`, `changes.py`, the tallies) that its report takes in.
`listeners.py` has what work tells of itself meanwhile.

Nothing here asks a store, reads a disk or renders: the domain makes results, and `ui` shows them.
"""
