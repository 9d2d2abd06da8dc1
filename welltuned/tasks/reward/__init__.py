"""Reward models: score a response to a prompt, learned from preferences or ratings."""

from welltuned.tasks.reward.config import Reward
from welltuned.tasks.reward.problem import RewardProblem

__all__ = ["Reward", "RewardProblem"]
