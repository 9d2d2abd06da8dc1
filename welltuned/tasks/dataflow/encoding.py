"""Encoding: sources as rows of token ids, each with its graph.

Each token of a source becomes pieces as if a space stood before it, so that white space and line
ends never reach the model. Two sources share a row, and the nodes of both stand behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.dataflow import CodeGraph, LanguageName, graph_of
from welltuned.data.records import Records
from welltuned.data.tokens.encoding import Encoded
from welltuned.data.tokens.special_tokens import tokenise
from welltuned.tasks.dataflow.column import languages_of
from welltuned.tasks.dataflow.config import Dataflow
from welltuned.tasks.dataflow.graphs import BROKEN, CUT, EMPTY, TANGLED, UNREAD, Graphs, RowGraph

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LEAD = "@"
"""What stands before a token while it is tokenised, and is taken off again."""
_REPLACED = "\ufffd"
"""What stands where bytes were no text in the encoding that they were read in."""


def encode_code(
    tokenizer: PreTrainedTokenizerBase,
    records: Records,
    encoding: Dataflow,
    max_length: int,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Encoded, Graphs]:
    """Rows of at most `max_length` tokens, special ones included, and the graphs beside them."""
    texts = [records[role] for role in records.input_roles]
    rows = _Rows(_Pieces(tokenizer), encoding, _Frame.of(tokenizer, len(texts)), max_length)
    for i, language in enumerate(languages_of(records, encoding)):
        rows.add([column[i] for column in texts], language)
        progress(i + 1)
    return Encoded.of(rows.ids, rows.cut), Graphs.of(rows.graphs)


@dataclass
class _Source:
    """One source as pieces: its graph, and where each of its tokens' pieces start and end."""

    text: str
    graph: CodeGraph
    pieces: list[int]
    ends: np.ndarray


@dataclass
class _Rows:
    """Rows as they come to be."""

    pieces: _Pieces
    encoding: Dataflow
    frame: _Frame
    max_length: int
    ids: list[list[int]] = field(default_factory=list)
    cut: list[bool] = field(default_factory=list)
    graphs: list[RowGraph] = field(default_factory=list)

    def add(self, texts: Sequence[str], language: LanguageName) -> None:
        """One row of one or two sources."""
        sources = [self._source(text, language) for text in texts]
        kept = shares([len(one.pieces) for one in sources], self.max_length - self.frame.size)
        ids, starts = self.frame.around(
            [one.pieces[:number] for one, number in zip(sources, kept, strict=True)]
        )
        nodes: list[tuple[int, int]] = []
        links: list[tuple[int, ...]] = []
        for one, start, number in zip(sources, starts, kept, strict=True):
            spans, sources_of = self._nodes(one, number)
            links += [tuple(len(nodes) + node for node in row) for row in sources_of]
            nodes += [(start + first, start + last) for first, last in spans]
        found = sum(len(one.graph.nodes) for one in sources)
        notes = frozenset(_noted(sources)) | ({CUT} if len(nodes) < found else frozenset())
        special = self.frame.places(starts, kept)
        self.ids.append(ids)
        self.cut.append(any(n < len(one.pieces) for one, n in zip(sources, kept, strict=True)))
        spans_N2 = np.array(nodes, dtype=np.int32).reshape(-1, 2)
        self.graphs.append(RowGraph(spans_N2, tuple(links), special, found, notes))

    def _source(self, text: str, language: LanguageName) -> _Source:
        graph = graph_of(text, language)
        parts = self.pieces.of(graph.tokens)
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        return _Source(text, graph, [piece for part in parts for piece in part], ends)

    def _nodes(
        self, source: _Source, kept: int
    ) -> tuple[list[tuple[int, int]], list[tuple[int, ...]]]:
        """Spans and sources of the nodes whose tokens are there to the last piece."""
        spans = [
            (int(source.ends[token - 1]) if token else 0, int(source.ends[token]))
            for token in source.graph.nodes
        ]
        whole = [i for i, (first, last) in enumerate(spans) if first < last <= kept]
        whole = whole[: self.encoding.max_nodes]
        number = {node: i for i, node in enumerate(whole)}
        links = [
            tuple(number[one] for one in source.graph.sources[node] if one in number)
            for node in whole
        ]
        return [spans[node] for node in whole], links


def _noted(sources: Sequence[_Source]) -> list[str]:
    """What is to be counted of the sources of a row."""
    true = {
        BROKEN: any(one.graph.broken for one in sources),
        EMPTY: any(not one.graph.nodes and not one.graph.tangled for one in sources),
        TANGLED: any(one.graph.tangled for one in sources),
        UNREAD: any(_REPLACED in one.text for one in sources),
    }
    return [note for note, holds in true.items() if holds]


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """How much of one or two texts is read: the longer one loses first.

    >>> shares([10], 4), shares([10, 2], 8), shares([10, 10], 9)
    ([4], [6, 2], [5, 4])
    """
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    one, other = lengths
    first = min(one, max(room - other, room - room // 2))
    return [first, min(other, room - first)]


class _Pieces:
    """Tokens of sources as ids; each is tokenised once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self._lead = len(self._plain([_LEAD])[0])

    def of(self, tokens: Sequence[str]) -> list[list[int]]:
        """The ids of each token; the first is as it stands, and the others follow a space."""
        new = [token for token in dict.fromkeys(tokens[1:]) if token not in self._known]
        if new:
            found = self._plain([f"{_LEAD} {token}" for token in new])
            self._known |= {t: ids[self._lead :] for t, ids in zip(new, found, strict=True)}
        first = self._plain([tokens[0]]) if tokens else []
        return first + [self._known[token] for token in tokens[1:]]

    def _plain(self, texts: list[str]) -> list[list[int]]:
        found = tokenise(self._tokenizer, texts, add_special_tokens=False, verbose=False)
        ids: list[list[int]] = found["input_ids"]
        return ids


@dataclass(frozen=True)
class _Frame:
    """The special tokens before, between and after the sources of a row."""

    parts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, texts: int) -> _Frame:
        """As the tokenizer puts them around so many texts."""
        read = tokenizer(*(["a"] * texts), return_special_tokens_mask=True)
        parts: list[list[int]] = [[]]
        inside = False
        for number, special in zip(read["input_ids"], read["special_tokens_mask"], strict=True):
            if special:
                parts[-1].append(number)
            elif not inside:
                parts.append([])
            inside = not special
        return cls(tuple(map(tuple, parts)))

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))

    def around(self, texts: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
        """The whole row, and where each text starts in it."""
        ids, starts = list(self.parts[0]), []
        for text, after in zip(texts, self.parts[1:], strict=True):
            starts.append(len(ids))
            ids += [*text, *after]
        return ids, starts

    def places(self, starts: Sequence[int], lengths: Sequence[int]) -> tuple[int, ...]:
        """Where the special tokens stand in such a row."""
        taken = {p for at, n in zip(starts, lengths, strict=True) for p in range(at, at + n)}
        return tuple(p for p in range(self.size + sum(lengths)) if p not in taken)
