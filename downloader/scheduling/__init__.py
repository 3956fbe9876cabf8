"""Empties the queue: claims series, limits how many are under way, fetches, and records how each attempt ended.

`scheduler.py` is the loop and the only place that acts on errors. `leases.py` takes claims in portions and keeps them alive,
`admission.py` holds claims back while an archive is out or the disk is full, `outcomes.py` tells the store how an attempt ended.

An error of one series never ends the run of the others; an error of the library or the store ends it at once.
"""
