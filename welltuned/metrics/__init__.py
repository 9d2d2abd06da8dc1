"""Metrics and their confidence intervals: pure functions of arrays, without torch."""

LOWER_IS_BETTER = ("mae", "rmse", "log_loss", "calibration_error", "loss", "perplexity")
"""Scores of which less is better."""
