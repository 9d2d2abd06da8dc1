"""File readers: one module per format."""
