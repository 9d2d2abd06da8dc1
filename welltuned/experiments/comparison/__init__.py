"""Comparison: every strategy on the same data, with a verdict and its uncertainty.

A comparison is a folder of ordinary runs and reads nothing but their folders.
"""
