"""One training on several machines: a chief, which is the Trainer's, and workers that follow it.

The chief alone reads data, validates, decides, and writes. A worker is sent all that it needs, so
that no folder is shared, and takes the steps that the chief tells it to take.
"""
