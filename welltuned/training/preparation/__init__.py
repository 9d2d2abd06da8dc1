"""Preparation: the data, the model's plan and the numbers of a run, before weights are loaded."""
