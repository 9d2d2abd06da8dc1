"""The garbage collector, and where it is in the way.

It frees what is in reference cycles. To find these it walks through the objects that are there
whenever many have been made: where millions are made that all stay, or none of which is in a cycle,
it walks in vain, and takes a good part of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused(freeze: bool = False) -> Iterator[None]:
    """Work without the garbage collector; afterwards it is as it was.

    `freeze`: what is there by then is never visited again, nor freed if it is garbage. That is for
    imports in processes of our own: torch and transformers make a million objects that all stay.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if freeze:
            gc.freeze()
        if was_enabled:
            gc.enable()
