"""The command `tciad`: flags in, results out, errors as exit codes.

`app.py` has the table of verbs; each verb is a module, imported only when it is called. A verb reads its flags (`flags.py` has
those that several verbs share), opens what it needs from `engine/` or `service/`, and passes the result to `ui/`.
`command.py` has the steps that all verbs share, `mirror.py` those of `run` and `get`.

Results go to stdout, everything else to stderr. No rule about series is decided here.
"""
