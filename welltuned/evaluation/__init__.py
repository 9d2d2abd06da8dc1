"""Evaluation beyond the score: predictions, probes, features, and what was forgotten."""
