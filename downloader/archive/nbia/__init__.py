"""The NBIA REST API, in four generations: v4, v2, v1, and the one of 2013 on Bindaas.

`client.py` works from the table of a generation (`v4.py`, `v2.py`, `v1.py`, `bindaas.py`), which names endpoints, parameters
and columns. `requests.py` sends a request with the proof of who asks (`authentication.py`, `oauth.py`); `error_replies.py` says
what a reply means that is not the answer; `table_rows.py` and `decoding.py` turn the four formats into rows and rows into series,
while they arrive. `transfers.py` reads images out of the ZIPs.

Which routes a deployment offers is learned from evidence (`deployments.py`), never from one error. The facts are in
docs/archives.md.
"""
