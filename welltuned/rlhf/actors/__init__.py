"""Actors: a language model or a classifier as a policy."""
