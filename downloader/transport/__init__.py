"""The only HTTP client: one pool of connections, our errors, time-outs for missing data but none for a whole transfer.

`client.py` sends requests through proxies, redirects and cookies by its own rules: no secret goes to another host, and no public
archive can redirect to a private address. `retrying.py` repeats requests with growing pauses. `connections.py` keeps a
connection only while no unrequested bytes arrived on it. `errors.py` turns the errors of aiohttp, TLS and sockets into ours.

It knows HTTP and no archives. Bodies are streams, never whole in memory.
"""
