"""Maintenance of a library after its series were fetched.

`verification.py` checks images against receipts, receipts against the store, and both against the archive. `repair.py` fixes its
findings: with a good copy if there is one, otherwise with a new download. `adoption.py` adopts series that other programs
downloaded, which `foreign_tree.py` reads; `relayout.py` moves series to other folders, `rebuild_store.py` creates the store from
receipts, and `recovery.py` finishes or undoes the changes of a killed process.

No intact series is removed before an intact and proven copy is in its place.
"""
