"""Progress of `wt.train` and `wt.compare` for whoever has not set up logging: lines on stderr."""

from __future__ import annotations

import logging

_LOG = logging.getLogger("welltuned")


def show_progress(verb: str, first: str) -> None:
    """Print what is logged to standard error, from `first` on, where nothing else handles it.

    A program that has set up logging, be it by a `NullHandler`, is left alone.
    """
    if not _LOG.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        _LOG.addHandler(handler)
        _LOG.setLevel(logging.INFO)
    _LOG.getChild(verb).info("%s", first)
