"""Writes the files that describe a whole library: `metadata.csv` and `CITATION.txt`.

They are made from the store after a run, one row for each complete series, in the columns of the NBIA Data Retriever, and
replaced in one step. They are written again at the next run where one died before.

They are copies for people and scripts: tciad itself never reads them.
"""
