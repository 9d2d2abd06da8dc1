"""A strategy, a task, a metric and an RL algorithm that welltuned does not have, one file each."""
