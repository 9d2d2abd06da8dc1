"""Fixtures of searches: a config to vary, and trials that cost no training."""

from __future__ import annotations

from trials import ask, imagined

__all__ = ["ask", "imagined"]
