"""Graph: a source as tokens, and the flow of values between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from welltuned.data.dataflow.flow import TangledError, ValueOrigin, find_origins
from welltuned.data.dataflow.grammars import parser_of
from welltuned.data.dataflow.rules import LanguageTable
from welltuned.data.dataflow.syntax import read_tree
from welltuned.data.dataflow.tables import LANGUAGES, LanguageName


@dataclass(frozen=True)
class CodeGraph:
    """The tokens of a source, and its graph: N nodes, each of which stands for one token."""

    tokens: tuple[str, ...]
    """As they stand in the source, without comments and white space."""
    nodes: tuple[int, ...] = ()
    """The token of each node, ascending; a token that gets values in several ways has several."""
    sources: tuple[tuple[int, ...], ...] = ()
    """For each node those that its value comes from."""
    broken: bool = False
    """Whether the parser found errors, around which it went on."""
    tangled: bool = False
    """Whether it is nested too deeply for its flow to be followed, so that there are no nodes."""

    @property
    def num_edges(self) -> int:
        return sum(map(len, self.sources))


def graph_of(source: str, language: LanguageName) -> CodeGraph:
    """Parse a source. Raises `InputError` where the language's grammar is not installed."""
    table = LANGUAGES[language]
    text = _framed(source, table).encode("utf-8", "replace")
    tree = parser_of(language).parse(text)
    syntax, tokens = read_tree(tree.root_node, text, table)
    broken = tree.root_node.has_error
    try:
        origins = find_origins(syntax, table)
    except TangledError:
        return CodeGraph(tuple(tokens), broken=broken, tangled=True)
    nodes, sources = _linked(origins)
    return CodeGraph(tuple(tokens), nodes, sources, broken)


def _framed(source: str, table: LanguageTable) -> str:
    if table.frame is None or table.frame[0].strip() in source:
        return source
    before, after = table.frame
    return f"{before}{source}{after}"


def _linked(origins: Sequence[ValueOrigin]) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Nodes and the nodes they come from; only what an edge begins or ends at is a node.

    Where a token has several nodes, edges begin at its last one, as in pretraining.
    """
    ends = {token for one in origins if one.sources for token in (one.token, *one.sources)}
    kept = [one for one in origins if one.token in ends]
    number = {one.token: i for i, one in enumerate(kept)}
    sources = (sorted({number[token] for token in one.sources if token in number}) for one in kept)
    return tuple(one.token for one in kept), tuple(map(tuple, sources))
