"""The report of a library: one HTML page for people, rows of its series for programs."""
