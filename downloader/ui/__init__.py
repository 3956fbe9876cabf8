"""Output for people: lines, tables, progress bars and the HTML report of a library.

Each module renders one kind of result of `results/`, and `progress.py`, `counting.py` and `notebook.py` listen to work that goes
on. Texts from outside are escaped before they are shown (`texts.py`). Logs go to stderr (`log.py`), results to stdout.

Only cli, api and web import this room, and no domain code. It decides nothing.
"""
