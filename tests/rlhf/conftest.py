"""Runs that PPO can start from."""

from supervised import classified, stories, told

__all__ = ["classified", "stories", "told"]
