"""A random test campaign: iterations of random operations on a library, checked by a judge that shares no code with tciad.

One iteration draws a world (`catalogue`), manifests (`manifests`) and a sequence of steps (`steps`, `harm`), runs them on one
library (`scene`, `commands`) against a faulty archive (`faults`), and calls the judge after each command (`invariants`, which
reads library and store with its own code: `evidence`). `iteration` has the sequence. The seed determines all choices.
"""
