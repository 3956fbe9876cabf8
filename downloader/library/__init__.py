"""The library: folders of proven series, staging, and the state in `.tciad`.

`port.py`, `sink.py` and `index.py` have the ports of a library; `model.py` and `changes.py` have the types of these ports.
`local/` implements them on a file system. `state/` reads and writes the files in `.tciad`. `layout.py` and `names.py` decide
names, and `receipt.py` has the receipt in each series' folder; they are pure.

A folder with its final name is complete and durable: its images, then its receipt, were synced before the rename.
"""
