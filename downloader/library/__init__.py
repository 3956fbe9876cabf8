"""The local tree of completed series, and the staging beside it."""
