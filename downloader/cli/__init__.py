"""The command `tciad`: flags in, results out, errors as exit codes.

`app.py` has the table of verbs; a module is imported only when its verb is called. Each verb reads its flags, opens what it
needs from `engine/` or `service/`, and hands the result to `ui/`.

Results go to stdout, everything else to stderr. No rule about series is decided here.
"""
