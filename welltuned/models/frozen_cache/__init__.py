"""Frozen-boundary cache: blocks below the lowest trainable one run once for each example.

token_rows.py     the rows of a batch without their padding, known by their tokens
frozen_part.py    how many blocks are frozen now, and the fingerprint of what they compute
lower_blocks.py   these blocks run alone, or stepped over
exactness.py      the trial of whether a kept state is what would be computed again
row_store.py      what is kept
cached_trunk.py   all together, in place of a trunk's forward pass
"""
