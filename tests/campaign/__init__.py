"""A random campaign: libraries that live through everything at once, and a judge that shares no code with what it judges.

One iteration, from top to bottom: `iteration` draws a world (`catalogue`), manifests (`manifests`) and a sequence of steps
(`steps`, `harm`), plays them on one library (`scene`, `commands`) while the archive misbehaves (`faults`), and asks the judge
after each command (`invariants`, with its own reading of library and store: `evidence`). All choices follow from the seed.
"""
