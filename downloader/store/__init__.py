"""The state store: which series are wanted, due, claimed, failed and complete. It is the one queue of the program.

`port.py` has the verbs that move a series from wanted to complete, and the questions that reports ask. `sqlite/` keeps it in
one file beside the library.

The library is the truth, the store is what is known of it: it can be made anew from receipts at any time. A series counts as
complete only after its folder is durable.
"""
