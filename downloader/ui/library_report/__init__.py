"""What a library holds: for people as one page, for programs as rows of its series."""
