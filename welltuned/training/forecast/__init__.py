"""What a run will cost, told before a weight is loaded: memory, time and disk."""
