"""Policies to look into, shared with the tests of RLHF."""

from rlhf.conftest import classified, stories, told

__all__ = ["classified", "stories", "told"]
