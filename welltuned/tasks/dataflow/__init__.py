"""Source code read with its data flow, as GraphCodeBERT reads it (arXiv 2009.08366).

config    which language, and how many nodes
column    a column that names each row's language
encoding  sources as token ids and graphs
examples  a split of these, as padded batches
findings  what is counted and told of them
"""

from welltuned.tasks.dataflow.config import Dataflow

__all__ = ["Dataflow"]
