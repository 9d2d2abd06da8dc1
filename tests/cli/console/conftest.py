"""Fixtures of consoles: sweeps to tell of, whose trials cost no training."""

from __future__ import annotations

from trials import ask, imagined

__all__ = ["ask", "imagined"]
