"""Writes the files that describe a whole library: `metadata.csv` and `CITATION.txt`.

They are written from the store after a run, with one row for each complete series in the columns of the NBIA Data Retriever, and
replaced by atomic renames. If a run dies before, the next run writes them.

They are for people and scripts: tciad itself never reads them.
"""
