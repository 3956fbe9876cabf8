"""Clients of archives: lists of series, and the images of one series.

`port.py` has the port of a source: queries that return rows of series, and transfers that return images. `question.py` has the
port of `tciad query`. `registry.py` creates the client for a manifest's archive, with its credentials. `nbia/` implements the
NBIA REST API in four generations, each of which is a table.

Replies are checked: a row that does not match the query, or a page instead of images, is an error. A client cannot know whether
the archive lists everything: callers compare lists with counts, and images with lists.
"""
