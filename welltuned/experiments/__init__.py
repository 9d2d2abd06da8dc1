"""Experiments: many runs that answer one question (comparisons, sweeps, learning curves)."""
