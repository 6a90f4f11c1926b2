"""Standard input and output for messages only.

A stray print by any library, in Python or in C, would end a message channel for good. The channel therefore moves to descriptors
of its own; file descriptor 1 then leads to stderr, and descriptor 0 to nothing, so that children cannot take a message either.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

_claimed: list[BinaryIO] = []


def claim() -> tuple[BinaryIO, BinaryIO]:
    """(input, output) of the channel, the same ones at every call."""
    if not _claimed:
        sys.stdout.flush()
        source, sink = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        # Raw reading: a message is answered as soon as it is complete, however much is still to come.
        _claimed.extend((os.fdopen(source, "rb", buffering=0), os.fdopen(sink, "wb", buffering=0)))
    return _claimed[0], _claimed[1]
