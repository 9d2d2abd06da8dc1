"""Labels to check: the examples whose label is believed least by models that did not learn from it.

They are found in rows as `predictions.jsonl` has them: `id`, `label`, `probabilities`, and what was
read. Where an example has several labels, each is a question of its own, and the most doubtful one
counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from welltuned.evaluation.confident_learning import LabelCheck, check_labels
from welltuned.metrics import Row
from welltuned.runs.suspects_schema import Label, Suspect

_NO_INPUT = {"id", "label", "prediction", "probabilities"}


@dataclass(frozen=True)
class DoubtRanking:
    """N examples by how doubtful their labels are."""

    order_N: np.ndarray
    """The examples' places in the rows, the most doubtful first."""
    doubtful: int
    """So many of the first are suspects: confidently believed to be of another class."""
    expected: float
    """How many labels are wrong, as estimated."""


@dataclass(frozen=True)
class _Classes:
    """N examples with one of K labels each."""

    names: list[str]
    probabilities_NK: np.ndarray
    given_N: np.ndarray
    check: LabelCheck

    @classmethod
    def of(cls, rows: Sequence[Row], names: list[str], probabilities_NK: np.ndarray) -> _Classes:
        number = {name: k for k, name in enumerate(names)}
        given_N = np.array([number[row["label"]] for row in rows])
        return cls(names, probabilities_NK, given_N, check_labels(probabilities_NK, given_N))

    @property
    def ranking(self) -> DoubtRanking:
        check = self.check
        return _ranking(check.margin_N, check.is_doubtful_N, check.expected)

    def suggestion(self, i: int) -> tuple[Label, float, float]:
        """What is believed instead of an example's label, and the probabilities of both."""
        row_K, other = self.probabilities_NK[i], int(self.check.other_N[i])
        return self.names[other], float(row_K[self.given_N[i]]), float(row_K[other])


@dataclass(frozen=True)
class _Sets:
    """N examples with any number of K labels; whether one applies is a question by itself."""

    names: list[str]
    probabilities_NK: np.ndarray
    given_NK: np.ndarray
    margin_NK: np.ndarray
    is_doubtful_NK: np.ndarray
    expected: float

    @classmethod
    def of(cls, rows: Sequence[Row], names: list[str], probabilities_NK: np.ndarray) -> _Sets:
        given_NK = np.array([[name in row["label"] for name in names] for row in rows])
        pairs = zip(probabilities_NK.T, given_NK.T, strict=True)
        checks = [
            check_labels(np.stack([1 - p_N, p_N], axis=1), given_N.astype(np.int64))
            for p_N, given_N in pairs
        ]
        return cls(
            names,
            probabilities_NK,
            given_NK,
            np.stack([check.margin_N for check in checks], axis=1),
            np.stack([check.is_doubtful_N for check in checks], axis=1),
            sum(check.expected for check in checks),
        )

    @property
    def ranking(self) -> DoubtRanking:
        doubtful_N = np.asarray(self.is_doubtful_NK.any(axis=1))
        return _ranking(self.margin_NK.min(axis=1), doubtful_N, self.expected)

    def suggestion(self, i: int) -> tuple[Label, float, float]:
        """As of one label; the probabilities are those of the most doubtful one."""
        worst = int(self.margin_NK[i].argmin())
        turned_K = self.is_doubtful_NK[i].copy()
        turned_K[worst] = True
        flags_K = self.given_NK[i] ^ turned_K
        p = float(self.probabilities_NK[i, worst])
        own = p if self.given_NK[i, worst] else 1 - p
        return [name for name, flag in zip(self.names, flags_K, strict=True) if flag], own, 1 - own


def _checked(rows: Sequence[Row]) -> _Classes | _Sets:
    names = list(rows[0]["probabilities"])
    probabilities_NK = np.array([[row["probabilities"][name] for name in names] for row in rows])
    if any(isinstance(row["label"], list) for row in rows):
        return _Sets.of(rows, names, probabilities_NK)
    return _Classes.of(rows, names, probabilities_NK)


def _ranking(margin_N: np.ndarray, is_doubtful_N: np.ndarray, expected: float) -> DoubtRanking:
    """Suspects first, and then the others; both by their margin."""
    order_N = np.lexsort((margin_N, ~is_doubtful_N))
    return DoubtRanking(order_N, int(is_doubtful_N.sum()), expected)


def rank_labels(rows: Sequence[Row]) -> DoubtRanking:
    """All examples, the one with the most doubtful label first."""
    return _checked(rows).ranking if rows else DoubtRanking(np.zeros(0, dtype=np.int64), 0, 0.0)


def find_suspects(rows: Sequence[Row]) -> tuple[list[Suspect], float]:
    """Examples whose labels are to be checked, and how many labels are wrong, as estimated."""
    if not rows:
        return [], 0.0
    checked = _checked(rows)
    ranking = checked.ranking
    first = ranking.order_N[: ranking.doubtful].tolist()
    return [_suspect(rows[i], *checked.suggestion(i)) for i in first], ranking.expected


def _suspect(row: Row, suggested: Label, own: float, instead: float) -> Suspect:
    return {
        "id": row["id"],
        "label": row["label"],
        "suggested": suggested,
        "probability": round(own, 6),
        "suggested_probability": round(instead, 6),
        "inputs": shown_inputs(row),
    }


def shown_inputs(row: Row) -> dict[str, str]:
    """What a row says was read, by role."""
    return {
        role: value
        for role, value in row.items()
        if role not in _NO_INPUT and isinstance(value, str)
    }


def averaged(judges: Iterable[Iterable[Row]]) -> list[Row]:
    """One row an example, with the mean of its probabilities over all who judged it.

    A deep ensemble, where these are cells of a comparison (Lakshminarayanan et al. 2017, arXiv
    1612.01474). Rows without probabilities say nothing here.
    """
    first: dict[str, Row] = {}
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for row in (row for judge in judges for row in judge if row.get("probabilities")):
        id, known = row["id"], first.setdefault(row["id"], row)
        values_K = np.array([row["probabilities"][name] for name in known["probabilities"]])
        sums[id] = sums[id] + values_K if id in sums else values_K
        counts[id] = counts.get(id, 0) + 1
    return [_with_mean(row, sums[id] / counts[id]) for id, row in first.items()]


def _with_mean(row: Row, mean_K: np.ndarray) -> Row:
    names = list(row["probabilities"])
    sets = isinstance(row["label"], list)
    said = [name for name, p in zip(names, mean_K, strict=True) if p > 0.5]
    return {
        **row,
        "prediction": said if sets else names[int(mean_K.argmax())],
        "probabilities": dict(zip(names, mean_K.tolist(), strict=True)),
    }
