"""One attempt at one series: from the source's transfer to a proven folder in the library.

The steps of `attempt.py`: begin a staging, stage, prove, publish. `resume.py` continues an interrupted attempt. `recheck.py`
reads the catalogue again if images and row do not match. `context.py` has the resources of all attempts, and the state of one.
`former_folder.py` removes the previous folder of a series whose folder has a new name.

An attempt never retries and does not use the store. It returns a receipt for images that are proven and durable, or raises; then
staging contains only intact images, or nothing.
"""
