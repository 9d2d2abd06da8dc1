"""Scores and their intervals: pure functions of arrays, without torch."""
