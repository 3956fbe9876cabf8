"""The files in `.tciad`: the state of a library, apart from its series.

They are its identity and its config (`identity.py`, `config.py`), the lock (`lock.py`), the pause file, records of runs and
changes, and descriptions of collections; and the two files for people at the top, `metadata.csv` and `CITATION.txt`.

Each is replaced by an atomic rename, and read through `own_folder.py`, which follows no links. Everything here blocks.
"""
