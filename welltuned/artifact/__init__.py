"""The portable artifact: save, load, verify, predict with, and export a tuned model."""
