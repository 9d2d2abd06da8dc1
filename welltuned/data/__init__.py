"""Data: from the user's files to batches (readers, checks, splits, encoding, batching)."""
