"""File readers: one module per format; `formats` picks the one for a file."""
