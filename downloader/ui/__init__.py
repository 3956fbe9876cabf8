"""What a person sees: lines, tables, progress bars and the HTML report of a library.

Each module renders one kind of result. Texts of others are escaped before they are shown (`texts.py`). Logs go to stderr
(`log.py`), results to stdout.

Nothing here decides or asks anything; what it shows it is given.
"""
