"""The state store: which series are wanted, due, claimed, failed and complete. It is the program's only queue.

`port.py` has the protocols, by kind of client. `sqlite/` implements them in one file in the library's own folder, or elsewhere.

The receipts in the library are authoritative: the store can be rebuilt from them at any time. A series is set to complete only
after its folder is durable.
"""
