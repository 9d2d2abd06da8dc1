"""Running a model over a split, and what its predictions are worth."""
