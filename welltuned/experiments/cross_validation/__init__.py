"""Cross-validation: a run for each fold of small data, scored together, and one on all of them."""
