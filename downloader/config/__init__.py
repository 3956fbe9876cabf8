"""The options of a run: flags and environment, with one place for the defaults.

`options.py` has every option of a run with its default. `settings.py` reads the environment (`TCIAD_*`) and lays it over the
manifest, flags over both. `quantities.py` parses sizes, rates and durations, `bandwidth_schedule.py` limits by the time of day.
Invalid input is refused with the same messages everywhere (`messages.py`).

Nothing here opens a file of the library or sends a request.
"""
