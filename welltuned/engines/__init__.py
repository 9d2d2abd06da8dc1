"""Who turns the crank.

Both engines share optimizer groups, schedule, batches, validation and events.
"""
