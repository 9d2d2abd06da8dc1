"""Whether a server takes requests, and how many it is answering."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Lifecycle:
    """Of one server; changed in the thread of its event loop alone."""

    draining: bool = False
    """Whether it was asked to stop: what it has let in is answered, and nothing else is let in."""
    inside: int = 0
    """Requests that were let in and are not answered yet."""
