"""Session: the model of a run from loaded to trained, and what is tried on it on the way."""
