"""The remote service: one port, one client per generation of its API."""
