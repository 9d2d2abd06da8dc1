"""Policies to look into, made as the tests of RLHF make them."""

from supervised import classified, stories, told

__all__ = ["classified", "stories", "told"]
