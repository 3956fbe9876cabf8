"""Empties the queue: claims series, limits how many are in flight, fetches them, and records the end of each attempt.

`scheduler.py` has the loop, and is the only place that acts on errors; `decision.py` decides what an error means. `leases.py`
claims series in portions and extends their leases, `admission.py` pauses claiming during an archive outage or on a full disk,
`outcomes.py` records failed attempts in the store.

An error of one series never ends the run of the others; an error of the library or the store ends it at once.
"""
