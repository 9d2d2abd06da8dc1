"""Entity-level precision, recall and F1 of tagged sentences.

An entity is a stretch of words of one type. Found is one with exactly the right
words and the right type. Malformed tags are read as CoNLL's own script and
seqeval read them: `I-PER` after `O`, or after another type, begins an entity.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from welltuned.metrics.intervals import percentile_interval, resampled_sums

OUTSIDE = "O"
NO_TYPE = "_"
"""The type of entities whose tags name none, such as plain `B` and `I`."""

Tags = Sequence[str | None]
"""The tags of a sentence's words; None for a word that was never read."""

_TYPED = re.compile(r"[BIESLUM]-.+", re.DOTALL)
_BARE = re.compile(r"[BIESLUM]")
_SAME = {"L": "E", "U": "S", "M": "I"}
"""Last, unit and middle (BILOU, BMES) are end, single and inside (BIOES)."""


class Entity(NamedTuple):
    """A type and the words it spans: `start` to, but not including, `stop`."""

    type: str
    start: int
    stop: int


def mark_entities(tags: Iterable[str]) -> bool:
    """Whether a set of tags marks entities (IOB1, IOB2, BIOES, …) and not, say, parts of speech."""
    known = set(tags)
    typed = {tag for tag in known if _TYPED.fullmatch(tag)}
    bare = {tag for tag in known if _BARE.fullmatch(tag)}
    if known <= typed | bare | {OUTSIDE}:
        return bool(typed) or bool(bare & {"B", "I"})
    return bool(typed) and OUTSIDE in known


def split_tag(tag: str | None) -> tuple[str, str]:
    """(`B`, `I`, `E`, `S` or `O`, type). What is no tag of an entity is outside."""
    if tag is None or not (_TYPED.fullmatch(tag) or _BARE.fullmatch(tag)):
        return OUTSIDE, ""
    return _SAME.get(tag[0], tag[0]), tag[2:] or NO_TYPE


def find_entities(tags: Tags) -> list[Entity]:
    """The entities of one sentence, in order.

    An entity ends before `O`, `B`, `S` and another type, and after `E` and `S`.
    """
    entities: list[Entity] = []
    start, inside, ended = 0, "", True
    for position, tag in enumerate([*tags, None]):
        prefix, kind = split_tag(tag)
        begins = prefix in ("B", "S") or kind != inside or ended
        if inside and begins:
            entities.append(Entity(inside, start, position))
        if begins:
            start = position
        inside, ended = kind, prefix in ("E", "S")
    return entities


# --- Scores -------------------------------------------------------------------


def score_entities(true: Sequence[Tags], predicted: Sequence[Tags], intervals: bool) -> Any:
    """Micro F1, precision and recall of entities, each type's own, and the share of right tags.

    Intervals resample sentences: errors within one are not independent.
    """
    counts = [
        _count(set(find_entities(a)), set(find_entities(b)))
        for a, b in zip(true, predicted, strict=True)
    ]
    scores: dict[str, Any] = _summary(_sentence_counts(counts), _MICRO, intervals)
    scores |= score_words(true, predicted, intervals)
    scores["per_type"] = _table(counts)
    return scores


def score_tags(
    true: Sequence[Tags], predicted: Sequence[Tags], names: Sequence[str], intervals: bool
) -> dict[str, Any]:
    """The share of right tags, macro-F1 and each tag's own scores, for tags that mark no entity."""
    counts = [_count_tags(a, b) for a, b in zip(true, predicted, strict=True)]
    numbers_NK3 = np.stack([_of(count, names) for count in counts])
    scores = score_words(true, predicted, intervals)
    scores |= _summary(numbers_NK3, {"macro_f1": _macro_f1}, intervals)
    scores["per_class"] = {name: _row(*sum_3) for name, sum_3 in _by_name(numbers_NK3, names)}
    return scores


def score_words(true: Sequence[Tags], predicted: Sequence[Tags], intervals: bool) -> dict[str, Any]:
    """The share of words with the right tag; a word that was not read counts as wrong."""
    numbers_N2 = np.array(
        [
            [sum(x == y for x, y in zip(a, b, strict=True)), len(a)]
            for a, b in zip(true, predicted, strict=True)
        ]
    )
    return _summary(numbers_N2, {"accuracy": lambda sums: _share(sums[0], sums[1])}, intervals)


Count = tuple[Counter[str], Counter[str], Counter[str]]
"""By type: how many entities were found, how many there are, how many were predicted."""


def _count(true: set[Entity], predicted: set[Entity]) -> Count:
    hits = true & predicted
    return (
        Counter(entity.type for entity in hits),
        Counter(entity.type for entity in true),
        Counter(entity.type for entity in predicted),
    )


def _count_tags(true: Tags, predicted: Tags) -> Count:
    hits = [str(a) for a, b in zip(true, predicted, strict=True) if a == b]
    return Counter(hits), Counter(map(str, true)), Counter(str(tag) for tag in predicted if tag)


def _sentence_counts(counts: Sequence[Count]) -> np.ndarray:
    """Found, true and predicted entities of each sentence (N, 3), of whatever type."""
    return np.array([[part.total() for part in count] for count in counts])


def _of(count: Count, names: Sequence[str]) -> np.ndarray:
    return np.array([[part[name] for part in count] for name in names])


def _by_name(numbers_NK3: np.ndarray, names: Sequence[str]) -> Iterable[tuple[str, np.ndarray]]:
    return zip(names, numbers_NK3.sum(axis=0), strict=True)


def _table(counts: Sequence[Count]) -> dict[str, dict[str, Any]]:
    hits, true, predicted = (Counter[str](), Counter[str](), Counter[str]())
    for found, there, told in counts:
        hits += found
        true += there
        predicted += told
    return {
        kind: _row(hits[kind], true[kind], predicted[kind]) for kind in sorted(true | predicted)
    }


def _row(hits: int, true: int, predicted: int) -> dict[str, Any]:
    return {
        "precision": _share(hits, predicted),
        "recall": _share(hits, true),
        "f1": _share(2 * hits, true + predicted),
        "support": int(true),
    }


def _share(part: float, whole: float) -> float:
    """0 where there is nothing to have a share of."""
    return float(part / whole) if whole else 0.0


def _macro_f1(sums_K3: np.ndarray) -> float:
    return float(np.mean([_share(2 * hits, true + found) for hits, true, found in sums_K3]))


_MICRO: dict[str, Callable[[np.ndarray], float]] = {
    "entity_f1": lambda sums: _share(2 * sums[0], sums[1] + sums[2]),
    "entity_precision": lambda sums: _share(sums[0], sums[2]),
    "entity_recall": lambda sums: _share(sums[0], sums[1]),
}


def _summary(
    numbers: np.ndarray, measures: dict[str, Callable[[np.ndarray], float]], intervals: bool
) -> dict[str, Any]:
    """Measures of sums over sentences (N, …), with intervals over resampled sentences."""
    whole = numbers.sum(axis=0)
    scores: dict[str, Any] = {name: measure(whole) for name, measure in measures.items()}
    if intervals:
        draws = resampled_sums(numbers)
        for name, measure in measures.items():
            scores[f"{name}_ci95"] = percentile_interval(np.array([measure(d) for d in draws]))
    return scores
