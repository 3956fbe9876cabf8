"""The NBIA REST API, in four generations: v4, v2, v1, and that of 2013 on Bindaas.

`client.py` works with the table of a generation (`v4.py`, `v2.py`, `v1.py`, `bindaas.py`), which has endpoints, parameters and
columns. `requests.py` sends a request with its authentication (`authentication.py`, `oauth.py`); `error_replies.py` translates
error replies; `table_rows.py` and `decoding.py` convert the four formats to rows and rows to series, as they arrive.
`transfers.py` reads images from the ZIPs.

Which routes a deployment offers is learned from evidence (`deployments.py`), never from one error. The facts are in
docs/archives.md.
"""
