"""The state store in one SQLite file, in WAL mode. One thread owns the connection; no call waits on the event loop.

`store.py` implements the port; `enqueuing.py` is what a resolve does, `claiming.py` what workers do, `inventory.py` and
`holdings.py` what people ask. SQL lives in `sql/`: statements by name, migrations by number. `connection.py` opens, checks and
migrates the file; a file of a newer tciad is refused. `errors.py` turns sqlite3's errors into ours.
"""
