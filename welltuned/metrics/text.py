"""Text-generation metrics against references, with 95% bootstrap intervals.

ROUGE-L is our own, because the usual package reads ASCII only; chrF and BLEU
are sacrebleu's (Post 2018). Every score here is a function of sums over
examples, so a resample draws examples and never reads a text twice.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from welltuned.errors import Fault, InputError, Place
from welltuned.metrics.intervals import bootstrap_interval
from welltuned.models.compat.sacrebleu_api import score_of_statistics, sentence_statistics
from welltuned.schema.import_path import load_callable

Scores = dict[str, Any]
Metric = Callable[[Sequence[str], Sequence[str]], Any]

# Han with its iteration marks, kana, bopomofo and hangul; then Thai, Lao, Burmese and Khmer, which
# put no spaces between words either.
_HAN = r"\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SINGLE = (
    _HAN + r"\u3041-\u312f\u3130-\u318f\u31a0-\u31bf\u31f0-\u31ff"
    r"\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
_SACREBLEU_MISSING = Fault("sacrebleu is not installed", None, "pip install 'welltuned[text]'")


def score_text(
    predictions: Sequence[str],
    references: Sequence[str],
    intervals: bool,
    extra: Sequence[str] = (),
) -> Scores:
    """Scores of N predictions, each against its one reference.

    `exact_match`, `rouge_l` and `empty` are between 0 and 1, `chrf` and `bleu`
    between 0 and 100 as everywhere else; `left_out` says what could not be
    computed and why. Metrics in `extra` go by their import path.
    """
    if not predictions or len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references")
    return {
        **_by_example(predictions, references, intervals),
        **_by_corpus(predictions, references, intervals),
        **_by_user(predictions, references, intervals, extra),
    }


def _by_example(predictions: Sequence[str], references: Sequence[str], intervals: bool) -> Scores:
    said, wanted = [normalised(text) for text in predictions], [normalised(r) for r in references]
    pairs = list(zip(said, wanted, strict=True))
    return {
        **_scored("exact_match", [p == r for p, r in pairs], _mean, intervals),
        **_scored("rouge_l", [rouge_l(p, r) for p, r in pairs], _mean, intervals),
        **_scored("length_ratio", [(_length(p), _length(r)) for p, r in pairs], _ratio, intervals),
        **_scored("empty", [not p for p in said], _mean, intervals),
    }


def _scored(
    name: str,
    statistics_NS: Any,
    measure: Callable[[np.ndarray], float],
    intervals: bool,
) -> Scores:
    """One score from the statistics of N examples, (N,) or (N, S), and its interval."""
    rows = np.asarray(statistics_NS)
    scores: Scores = {name: measure(rows)}
    if intervals:
        scores[f"{name}_ci95"] = bootstrap_interval(lambda drawn, _: measure(drawn), rows, rows)
    return scores


def _mean(values_N: np.ndarray) -> float:
    return float(values_N.mean())


def _ratio(lengths_N2: np.ndarray) -> float:
    """Predicted over wanted length; references without any length count as one token."""
    predicted, wanted = lengths_N2.sum(axis=0)
    return float(predicted / max(wanted, 1))


# --- Tokens -------------------------------------------------------------------


def normalised(text: str) -> str:
    """NFKC, stripped, with every run of white space as one space; case is kept."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def words(text: str) -> list[str]:
    """The tokens of ROUGE: words in lower case, single characters where scripts have no spaces.

    On plain English these are the tokens of the `rouge-score` package.
    """
    return [piece for piece in _pieces(normalised(text).lower()) if piece[0].isalnum()]


def _length(text: str) -> int:
    """Tokens, each sign between words included: "!!!!" is long, not empty."""
    return len(_pieces(text))


def _pieces(text: str) -> list[str]:
    return _pattern().findall(text)


@cache
def _pattern() -> re.Pattern[str]:
    """One character of the unspaced scripts, or a word, or any other sign.

    Combining marks stay with what they mark; `\\w` would break Hindi words at their vowels.
    No mark is below U+0300, and to say so is faster than to look through them all.
    """
    points = map(chr, range(sys.maxunicode + 1))
    marks = "".join(point for point in points if unicodedata.category(point)[0] == "M")
    letter = rf"[^\W_{_SINGLE}]"
    return re.compile(rf"[{_SINGLE}][{marks}]*|{letter}+(?:(?![\0-\u02ff])[{marks}]+{letter}*)*|\S")


# --- ROUGE-L ------------------------------------------------------------------


def rouge_l(prediction: str, reference: str) -> float:
    """The F-measure of the longest common subsequence of words (Lin 2004).

    0 when a side has no words, as in the `rouge-score` package.
    """
    said, wanted = words(prediction), words(reference)
    if not said or not wanted:
        return 0.0
    return 2 * common_subsequence(said, wanted) / (len(said) + len(wanted))


def common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest common subsequence, a whole row a step (Hyyrö 2004).

    Bit i of a row is 0 where the length grows at `left[i]`.
    """
    places: dict[str, int] = {}
    for index, token in enumerate(left):
        places[token] = places.get(token, 0) | 1 << index
    full = row = (1 << len(left)) - 1
    for token in right:
        matches = row & places.get(token, 0)
        row = (row + matches | row - matches) & full
    return len(left) - row.bit_count()


# --- chrF and BLEU ------------------------------------------------------------


def _by_corpus(predictions: Sequence[str], references: Sequence[str], intervals: bool) -> Scores:
    """Corpus scores with the signatures that make them comparable.

    Resamples add up sacrebleu's statistics of sentences, as its own bootstrap does.
    """
    if importlib.util.find_spec("sacrebleu") is None:
        return {"left_out": dict.fromkeys(("chrf", "bleu"), str(_SACREBLEU_MISSING))}
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    # `force` only silences a warning about predictions that end in " ."
    bleu = BLEU(tokenize="zh" if _mostly_chinese(references) else "13a", force=True)
    scores: Scores = {"signatures": {}}
    for name, metric in (("chrf", CHRF()), ("bleu", bleu)):
        statistics = sentence_statistics(metric, predictions, references)
        scores |= _scored(name, statistics, _corpus_measure(metric), intervals)
        scores["signatures"][name] = str(metric.get_signature())
    return scores


def _corpus_measure(metric: Any) -> Callable[[np.ndarray], float]:
    def measure(statistics_NS: np.ndarray) -> float:
        sums_S = statistics_NS.sum(axis=0).tolist()
        return score_of_statistics(metric, sums_S)

    return measure


def _mostly_chinese(texts: Sequence[str]) -> bool:
    """Whether more than half of the tokens are Han; kana keep Japanese below that."""
    han = re.compile(f"[{_HAN}]")
    tokens = [token for text in texts for token in words(text)]
    return 2 * sum(bool(han.match(token)) for token in tokens) > len(tokens)


# --- The user's own -----------------------------------------------------------


def _by_user(
    predictions: Sequence[str], references: Sequence[str], intervals: bool, extra: Sequence[str]
) -> Scores:
    """One number as it is; numbers by example as their mean, with an interval."""
    scores: Scores = {}
    for path in extra:
        values = _checked(path, _called(path, predictions, references), len(predictions))
        scores |= _scored(path, values, _mean, intervals and values.ndim == 1)
    return scores


def _called(path: str, predictions: Sequence[str], references: Sequence[str]) -> Any:
    metric = load_callable(path, "metric")
    try:
        # Copies: a metric that sorts or strips in place must not change what others see.
        return metric(list(predictions), list(references))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        fault = Fault(
            f"the metric '{path}' failed: {type(error).__name__}: {error}",
            Place(last.filename, last.lineno),
            "it is called with two lists of texts: predictions, references",
        )
        raise InputError(fault) from error


def _checked(path: str, result: Any, count: int) -> np.ndarray:
    """The result as finite numbers, () or (N,)."""
    try:
        values = np.asarray(result)
    except Exception:  # lists of unequal lengths, tensors on a GPU
        values = np.asarray(None)
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        problem = "what is not finite numbers"
    elif values.shape not in ((), (count,)):
        problem = f"numbers of shape {values.shape} for {count} examples"
    else:
        return values
    fault = Fault(
        f"the metric '{path}' returned {problem}: {_short(result)}",
        None,
        "return one float, or a list with one float an example",
    )
    raise InputError(fault)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"
