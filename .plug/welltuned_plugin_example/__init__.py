"""A strategy and an RL algorithm that welltuned does not have, one file each."""
