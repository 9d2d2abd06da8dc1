"""From the user's files to batches: sources, records, checks, splits, encoding, batching."""
