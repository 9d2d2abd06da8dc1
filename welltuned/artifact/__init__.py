"""The portable artifact: save, load, verify, and predict with a tuned model."""
