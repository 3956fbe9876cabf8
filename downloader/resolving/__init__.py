"""Resolves a manifest: finds the series that it selects.

`query_plan.py` chooses the fewest getSeries queries that cover an entry; `inquiry.py` sends them and keeps the rows that the
entry wants; `checked_lists.py` compares each list with other counts of the archive. `contradictions.py` handles series with
contradictory rows; `vanished.py` and `own_rows.py` send a second query about series that are no longer listed.

A list that is shorter than the archive's own count is never accepted as complete.
"""
