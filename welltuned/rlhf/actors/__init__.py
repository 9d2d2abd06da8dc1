"""Actors: a language model or a classifier as the policy."""
