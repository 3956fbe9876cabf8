"""The files in `.tciad`: what a library knows about itself beside its folders of series.

Its identity and its layout (`identity.py`, `config.py`), the lock (`lock.py`), the pause file, records of runs and changes, and
descriptions of collections; and the two files for people at the top, `metadata.csv` and `CITATION.txt`.

Each is replaced in one step, and read through `own_folder.py`, which follows no link. Everything here blocks.
"""
