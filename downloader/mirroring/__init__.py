"""One run of one manifest over one library.

`run.py` goes through it: look for the complete series (`presence.py`), resolve into the store (`resolve.py`), fetch what is due,
prove weak series again (`strengthening.py`), remove what the archive withdrew (`withdrawal.py`), report. `plan.py` says what a
run would do without doing it; `leftovers.py` clears what dead runs left in staging.

A run that ends with `complete` has seen the receipt of every series that it counts.
"""
