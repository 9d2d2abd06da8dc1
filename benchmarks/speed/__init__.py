"""Speed side by side with the scripts people write: what `bench.py` measures, and its pages."""
