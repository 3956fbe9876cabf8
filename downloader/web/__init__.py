"""The service over HTTP: health, metrics, the API, live events, and the page."""
