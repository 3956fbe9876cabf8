"""Keeps a library sound after its series were fetched.

`verification.py` proves images against receipts, receipts against the store, and both against the archive. `repair.py` mends
what that finds: a good copy first, else a new download. `adoption.py` takes over what other programs downloaded, as
`foreign_tree.py` reads it; `relayout.py` moves series to other folders, `rebuild_store.py` makes the store anew from receipts,
and `recovery.py` finishes or undoes the changes that a killed process left.

Nothing whole is removed before something whole and proven stands in its place.
"""
