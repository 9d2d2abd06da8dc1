"""Finished runs of every task."""

from answering import answering

__all__ = ["answering"]
