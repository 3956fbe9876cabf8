"""The daemon: every manifest of a folder on its schedule, for months.

`service.py` watches the folder and has a worker for each library (`library_worker.py`), which runs the cycles of its
manifests in turns. `cycle.py` guards one cycle: whatever ends it, the next one follows. `port.py` is all that HTTP knows
of the daemon: what it reports, and which orders it takes.

A cycle is the same run that `tciad run` makes. SIGTERM ends attempts at the next safe point; SIGKILL costs nothing but time.
"""
