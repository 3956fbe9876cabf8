"""From a manifest to the series that it means.

`query_plan.py` chooses the fewest getSeries queries that bring every series of an entry; `inquiry.py` asks them and keeps the
rows that the entry wants; `checked_lists.py` compares each list with what the archive counts elsewhere. `contradictions.py`
settles series that come with different figures, `vanished.py` and `own_rows.py` ask a second question about series that a list
no longer names.

A list that is shorter than the archive's own count is never taken for the whole.
"""
