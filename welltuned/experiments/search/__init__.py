"""Hyper-parameter search: sweeps, learning curves and range tests."""
