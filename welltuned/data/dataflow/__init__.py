"""Data flow of source code: which value comes from where, as in GraphCodeBERT (2009.08366).

syntax    a syntax tree without comments, its leaves numbered as tokens
rules     what a kind of node does to names: one small table a language (`tables`)
flow      the one walker that reads all tables
grammars  the installed parsers, each checked against its table
graph     from a source to its tokens, nodes and edges
"""

from welltuned.data.dataflow.graph import CodeGraph, graph_of
from welltuned.data.dataflow.tables import LANGUAGES, LanguageName, language_named

__all__ = ["LANGUAGES", "CodeGraph", "LanguageName", "graph_of", "language_named"]
