"""Figures that others published, re-read by the rules of `welltuned compare`."""
