"""Overlap: texts that are alike, within a split, across splits, and with what was learned."""
