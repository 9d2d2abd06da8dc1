"""Contrast: a problem learned from which texts are alike, before its head is solved for."""

from welltuned.tasks.contrast.groups import Groups
from welltuned.tasks.contrast.losses import ContrastLoss
from welltuned.tasks.contrast.problem import Contrast

__all__ = ["Contrast", "ContrastLoss", "Groups"]
