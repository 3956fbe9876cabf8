"""The library: folders of proven series, the staging beside them, and what lies in `.tciad`.

`port.py`, `sink.py` and `index.py` are what the rest of tciad asks of a library; `model.py` and `changes.py` have the nouns of
these ports. `local/` keeps a library on a file system. `state/` reads and writes the files of `.tciad`. `layout.py` and
`names.py` decide names, and `receipt.py` is the proof that lies in each series' folder; they are pure.

A folder under its final name is complete and durable: its images, then its receipt, were synced before the rename.
"""
