"""One attempt at one series: from the source's transfer to a proven folder in the library.

`attempt.py` reads from top to bottom: begin, stage, prove, publish. `resume.py` goes on where an earlier attempt broke off.
`recheck.py` asks the archive once more, where what came does not fit the row. `context.py` has what all attempts work with, and
the state of one. `former_folder.py` removes what an earlier time stored of a series whose folder has another name now.

An attempt never tries again and knows no store. It returns a receipt for images that are proven and durable, or raises; then
staging holds only whole images, or nothing.
"""
