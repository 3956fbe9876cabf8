"""The state store in one SQLite file, in WAL mode. One thread owns the connection; no call blocks the event loop.

`store.py` implements the port: `enqueuing.py` for resolves, `claiming.py` for workers, `sessions.py` for sessions, `inventory.py`
for reports. SQL is in `sql/`: statements by name, migrations by number. `connection.py` opens, checks and migrates the file; a
file of a newer tciad is refused. `errors.py` translates sqlite3's errors.
"""
