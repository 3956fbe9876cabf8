"""The daemon over HTTP: health checks, metrics, the JSON API, live events, and the page.

`api.py` has every endpoint in one table, from which the OpenAPI document is made. `auth.py` decides which requests are allowed,
by host, origin and token. `metrics.py` writes Prometheus' format, `health.py` serves the health checks of container runtimes.

It only knows `service/port.py`. Everything here is optional: the daemon mirrors without it.
"""
