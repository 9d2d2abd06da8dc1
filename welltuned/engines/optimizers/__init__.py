"""Optimizers by name, or by import path: what is known of each, and how it is built."""
