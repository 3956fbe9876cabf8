"""Asks archives: for lists of series, and for the images of one.

`port.py` is what the rest of tciad knows of a source: queries that give rows of series, and transfers that give images.
`question.py` is the port of `tciad query`.
`registry.py` makes the client that a manifest means, with the credentials that belong to it. `nbia/` speaks the NBIA REST API
in its four generations, each of which is a table.

A reply is believed only as far as it can be checked: a row that does not fit the query, or a page in place of images, is an
error. What cannot be promised: that the archive lists all it has. The caller compares lists with counts, and images with lists.
"""
