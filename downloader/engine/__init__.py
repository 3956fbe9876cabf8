"""Puts the parts together: the only code that names concrete classes, and that opens and closes them.

`mirror.py` opens a run: library, store, HTTP client, archives, scheduler. `maintenance.py` opens what verifies and repairs.
`holding.py` holds a library and its store together and locked; it refuses a store that meets the folders of another library.
`state_store.py` opens the store for those who only read it, without the rest.

It has no rules of its own about series; what is decided about them is decided below.
"""
