"""Adaptive pretraining: a model reads unlabelled texts of a domain before it learns a task.

Its own pretraining goes on with the user's texts: hidden words for an encoder, the next word for a
decoder. Then any strategy learns the labels (Gururangan et al. 2020, arXiv 2004.10964).
"""
