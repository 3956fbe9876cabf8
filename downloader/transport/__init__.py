"""The only HTTP client: one pool of connections, our errors, time-outs for silence but none for the whole.

`client.py` sends requests through proxies, redirects and cookies by rules of its own, so that no secret leaves its host and no
public archive leads to a private address. `retrying.py` asks again with growing pauses. `connections.py` keeps a connection only
while no unrequested bytes arrived on it. `errors.py` turns the errors of aiohttp, TLS and sockets into ours.

It knows HTTP and nothing of archives. Bodies are streams; none is held whole.
"""
