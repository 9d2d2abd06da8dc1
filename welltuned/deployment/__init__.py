"""Deployment: exports that prove themselves, and whatever answers with a model in production."""
