"""The graphs of many rows in flat arrays, and the attention mask of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from welltuned.data.tokens import ragged

BROKEN, EMPTY, TANGLED, UNREAD, CUT = "broken", "empty", "tangled", "unread", "cut"
NOTES = (BROKEN, EMPTY, TANGLED, UNREAD, CUT)
"""What is noted of a row: its syntax is broken; it has no data flow; it is nested too deeply to be
followed; it holds signs that no encoding explains; nodes were cut."""


@dataclass(frozen=True)
class RowGraph:
    """One row's graph, by places in the row."""

    spans_N2: np.ndarray
    """The first token of each node, and the one after its last."""
    sources: tuple[tuple[int, ...], ...]
    """For each node those that its value comes from."""
    special: tuple[int, ...]
    """Tokens that attend to nodes too, such as `[CLS]`."""
    found: int
    """Nodes before any were cut."""
    notes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Graphs:
    """N graphs, end to end."""

    starts: np.ndarray
    """Where each row's nodes start (N + 1)."""
    spans_M2: np.ndarray
    """The tokens that each node stands for: from the first to, not including, the second."""
    source_starts: np.ndarray
    """Where each node's sources start (M + 1)."""
    sources_E: np.ndarray
    """The nodes that values come from, counted within their own row."""
    special_starts: np.ndarray
    """Where each row's special tokens start (N + 1)."""
    special_S: np.ndarray
    """Their places in the row."""
    found_N: np.ndarray
    """Nodes before any were cut."""
    noted_NK: np.ndarray
    """Which of `NOTES` are true of each row (bool)."""

    @classmethod
    def of(cls, rows: Sequence[RowGraph]) -> Graphs:
        sources = [one for row in rows for one in row.sources]
        return cls(
            ragged.offsets_of([len(row.spans_N2) for row in rows]),
            np.concatenate([row.spans_N2 for row in rows]).astype(np.int32).reshape(-1, 2),
            ragged.offsets_of([len(one) for one in sources]),
            _flat(sources),
            ragged.offsets_of([len(row.special) for row in rows]),
            _flat(row.special for row in rows),
            np.array([row.found for row in rows], dtype=np.int64),
            np.array([[note in row.notes for note in NOTES] for row in rows], dtype=bool),
        )

    @property
    def counts(self) -> np.ndarray:
        """Nodes of each row (N)."""
        return np.diff(self.starts)

    @cached_property
    def counted(self) -> dict[str, int]:
        """Nodes, edges and what is noted, for `data.json`."""
        noted = {note: int(self.noted_NK[:, k].sum()) for k, note in enumerate(NOTES)}
        lost = int((self.found_N - self.counts).sum())
        return {
            "nodes": len(self.spans_M2),
            "edges": len(self.sources_E),
            "nodes_cut": lost,
            **{f"rows_{note}": number for note, number in noted.items()},
        }

    def rows_noted(self, note: str) -> np.ndarray:
        """The rows that something is true of."""
        return np.flatnonzero(self.noted_NK[:, NOTES.index(note)])

    def sources_of(self, row: int) -> list[list[int]]:
        """For each node of a row those that its value comes from."""
        nodes = range(int(self.starts[row]), int(self.starts[row + 1]))
        at = self.source_starts
        return [self.sources_E[at[node] : at[node + 1]].tolist() for node in nodes]

    def mask(self, row: int, tokens: int, width: int) -> np.ndarray:
        """Who attends to whom (L, L), row by column: T tokens, then nodes, then padding.

        Tokens attend to tokens, special ones to nodes too; nodes and their tokens to each other;
        a node to those that its value comes from. Padding attends to itself, since attention to
        nothing is no number.
        """
        mask_LL = np.zeros((width, width), dtype=bool)
        first, last = int(self.starts[row]), int(self.starts[row + 1])
        end = tokens + last - first
        mask_LL[:tokens, :tokens] = True
        at = self.special_starts
        mask_LL[self.special_S[at[row] : at[row + 1]], :end] = True
        places = np.arange(tokens, end)
        spans = self.spans_M2[first:last]
        of_node, of_token = _expanded(places, spans[:, 0], spans[:, 1])
        mask_LL[of_node, of_token] = mask_LL[of_token, of_node] = True
        links = self.source_starts[first : last + 1]
        of_node, of_link = _expanded(places, links[:-1], links[1:])
        mask_LL[of_node, tokens + self.sources_E[of_link]] = True
        np.fill_diagonal(mask_LL[end:, end:], True)
        return mask_LL

    def take(self, rows: Sequence[int]) -> Graphs:
        """The graphs of some rows, in that order."""
        nodes, starts = ragged.take(self.starts, rows)
        edges, source_starts = ragged.take(self.source_starts, nodes)
        special, special_starts = ragged.take(self.special_starts, rows)
        return Graphs(
            starts,
            self.spans_M2[nodes],
            source_starts,
            self.sources_E[edges],
            special_starts,
            self.special_S[special],
            self.found_N[list(rows)],
            self.noted_NK[list(rows)],
        )

    def join(self, other: Graphs) -> Graphs:
        """These graphs and then those."""
        parts = {
            name: np.concatenate([value, vars(other)[name]])
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        for name in ("starts", "source_starts", "special_starts"):
            own, further = vars(self)[name], vars(other)[name]
            parts[name] = np.concatenate([own, own[-1] + further[1:]])
        return replace(self, **parts)


def _expanded(
    keys_N: np.ndarray, starts_N: np.ndarray, ends_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each key beside every number from its start to before its end."""
    lengths_N = ends_N - starts_N
    first = np.repeat(starts_N - np.concatenate([[0], np.cumsum(lengths_N)[:-1]]), lengths_N)
    return np.repeat(keys_N, lengths_N), (first + np.arange(len(first))).astype(np.int64)


def _flat(rows: Iterable[Sequence[int]]) -> np.ndarray:
    return np.array([number for row in rows for number in row], dtype=np.int32)
