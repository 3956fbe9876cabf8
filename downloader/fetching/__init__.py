"""One attempt at one series: from the archive's stream to a proven folder in the library.

`attempt.py` reads from top to bottom: begin, transfer, stage, prove, publish. `small_series.py` does the same in one hop for a
series that has come whole in memory. `resume.py` goes on where an earlier attempt broke off. `recheck.py` asks the catalogue
once more, where what came does not fit the row. `context.py` is what every attempt works with.

An attempt never tries again and knows no store. It returns a receipt for images that are proven and durable, or raises; then
staging holds only whole images, or nothing.
"""
