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
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from welltuned.errors import Fault, InputError, Place
from welltuned.metrics.base import (
    Metric,
    Predictions,
    Rows,
    Scores,
    Statistic,
    mean_of,
    score,
)
from welltuned.metrics.intervals import bootstrap_draws, percentile_interval
from welltuned.models.compat.sacrebleu_api import score_of_statistics, sentence_statistics
from welltuned.schema.import_path import load_callable

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as CorpusMetric

# Han with its iteration marks, kana, bopomofo and hangul; then Thai, Lao, Burmese and Khmer, which
# put no spaces between words either.
_HAN = r"\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SINGLE = (
    _HAN + r"\u3041-\u312f\u3130-\u318f\u31a0-\u31bf\u31f0-\u31ff"
    r"\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
_CORPUS = ("chrf", "bleu")
_SACREBLEU_MISSING = Fault(
    "metric.sacrebleu_missing", "sacrebleu is not installed", None, "pip install 'welltuned[text]'"
)


@dataclass(frozen=True)
class TextPredictions(Predictions):
    """N answers, each beside its one reference."""

    name: ClassVar[str] = "text"
    default_metric: ClassVar[str] = "rouge_l"
    has_answers: ClassVar[bool] = False
    has_mistakes: ClassVar[bool] = False

    said_N: Sequence[str]
    wanted_N: Sequence[str]

    @classmethod
    def from_rows(cls, rows: Rows, labels: Sequence[str]) -> Self:
        """Of the rows that hold an answer and a reference."""
        answered = [row for row in rows if row.get("reference") and "response" in row]
        return cls([row["response"] for row in answered], [row["reference"] for row in answered])

    @cached_property
    def normalised_N(self) -> list[tuple[str, str]]:
        """Answer and reference without differences that nobody sees."""
        pairs = zip(self.said_N, self.wanted_N, strict=True)
        return [(normalised(said), normalised(wanted)) for said, wanted in pairs]

    @cached_property
    def corpus_metrics(self) -> dict[str, CorpusMetric]:
        """sacrebleu's own metrics, by name."""
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF

        # `force` only silences a warning about predictions that end in " ."
        bleu = BLEU(tokenize="zh" if _mostly_chinese(self.wanted_N) else "13a", force=True)
        return {"chrf": CHRF(), "bleu": bleu}

    @cached_property
    def _known(self) -> dict[str, np.ndarray]:
        return {}

    def known(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What is costly to make, made once."""
        if name not in self._known:
            self._known[name] = make()
        return self._known[name]

    def details(self) -> Scores:
        """The signatures that make corpus scores comparable, or why there are none."""
        if not _has_sacrebleu():
            return {"left_out": dict.fromkeys(_CORPUS, str(_SACREBLEU_MISSING))}
        metrics = self.corpus_metrics
        return {"signatures": {name: str(m.get_signature()) for name, m in metrics.items()}}


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
    left_out = () if _has_sacrebleu() else _CORPUS
    metrics = [metric for metric in TextPredictions.metrics if metric.name not in left_out]
    scores = score(TextPredictions(predictions, references), intervals, metrics)
    return scores | _by_user(predictions, references, intervals, extra)


def _has_sacrebleu() -> bool:
    return importlib.util.find_spec("sacrebleu") is not None


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


def _mostly_chinese(texts: Sequence[str]) -> bool:
    """Whether more than half of the tokens are Han; kana keep Japanese below that."""
    han = re.compile(f"[{_HAN}]")
    tokens = [token for text in texts for token in words(text)]
    return 2 * sum(bool(han.match(token)) for token in tokens) > len(tokens)


# --- The metrics --------------------------------------------------------------

Parts = Callable[[TextPredictions], Any]
"""What each of N examples has of a score: (N,) or (N, S)."""
Measure = Callable[[np.ndarray], float]
"""A score from the parts of any number of examples."""


def _metric(
    name: str,
    title: str,
    parts: Parts,
    measure: Callable[[TextPredictions], Measure],
    **traits: Any,
) -> Metric:
    """Resamples draw examples; for corpus scores, as sacrebleu's own bootstrap does."""

    def rows_of(predictions: TextPredictions) -> np.ndarray:
        return predictions.known(name, lambda: np.asarray(parts(predictions)))

    def compute(predictions: TextPredictions) -> float:
        return measure(predictions)(rows_of(predictions))

    def resample(predictions: TextPredictions) -> np.ndarray:
        rows, one = rows_of(predictions), measure(predictions)
        return bootstrap_draws(lambda drawn, _: one(drawn), rows, rows)

    def statistic(predictions: TextPredictions) -> Statistic:
        rows, one = rows_of(predictions), measure(predictions)
        if rows.ndim == 1:
            return mean_of(rows)
        return Statistic(rows, lambda sums_RS: np.array([one(row[None]) for row in sums_RS]))

    return Metric(name, title, statistic, compute, resample, **traits)


def _mean(values_N: np.ndarray) -> float:
    return float(values_N.mean())


def _ratio(lengths_N2: np.ndarray) -> float:
    """Predicted over wanted length; references without any length count as one token."""
    predicted, wanted = lengths_N2.sum(axis=0)
    return float(predicted / max(wanted, 1))


def _corpus_metric(name: str, title: str) -> Metric:
    """One of sacrebleu's, which are functions of sums over sentences too."""

    def parts(predictions: TextPredictions) -> Any:
        metric = predictions.corpus_metrics[name]
        return sentence_statistics(metric, predictions.said_N, predictions.wanted_N)

    def measure(predictions: TextPredictions) -> Measure:
        metric = predictions.corpus_metrics[name]
        return lambda rows_NS: score_of_statistics(metric, rows_NS.sum(axis=0).tolist())

    return _metric(name, title, parts, measure, bounds=(0.0, 100.0))


TextPredictions.scored_by(
    _metric(
        "exact_match",
        "exact match",
        lambda predictions: [said == wanted for said, wanted in predictions.normalised_N],
        lambda predictions: _mean,
    ),
    _metric(
        "rouge_l",
        "ROUGE-L",
        lambda predictions: [rouge_l(said, wanted) for said, wanted in predictions.normalised_N],
        lambda predictions: _mean,
    ),
    _metric(
        "length_ratio",
        "length ratio",
        lambda predictions: [
            (_length(said), _length(wanted)) for said, wanted in predictions.normalised_N
        ],
        lambda predictions: _ratio,
        bounds=(0.0, np.inf),
    ),
    _metric(
        "empty",
        "empty answers",
        lambda predictions: [not said for said, _ in predictions.normalised_N],
        lambda predictions: _mean,
        lower_is_better=True,
    ),
    _corpus_metric("chrf", "chrF"),
    _corpus_metric("bleu", "BLEU"),
)


# --- The user's own -----------------------------------------------------------


def _by_user(
    predictions: Sequence[str], references: Sequence[str], intervals: bool, extra: Sequence[str]
) -> Scores:
    """One number as it is; numbers by example as their mean, with an interval."""
    scores: Scores = {}
    for path in extra:
        values = _checked(path, _called(path, predictions, references), len(predictions))
        scores[path] = float(values.mean())
        if intervals and values.ndim == 1:
            scores[f"{path}_ci95"] = percentile_interval(
                bootstrap_draws(lambda drawn, _: _mean(drawn), values, values)
            )
    return scores


def _called(path: str, predictions: Sequence[str], references: Sequence[str]) -> Any:
    metric = load_callable(path, "metric")
    try:
        # Copies: a metric that sorts or strips in place must not change what others see.
        return metric(list(predictions), list(references))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        fault = Fault(
            "metric.failed",
            "the metric '{path}' failed: {error}",
            Place(last.filename, last.lineno or 0),
            "it is called with two lists of texts: predictions, references",
            path=path,
            error=f"{type(error).__name__}: {error}",
        )
        raise InputError(fault) from error


def _checked(path: str, result: Any, count: int) -> np.ndarray:
    """The result as finite numbers, () or (N,)."""
    try:
        values = np.asarray(result)
    except Exception:  # lists of unequal lengths, tensors on a GPU
        values = np.asarray(None)
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        problem = "something else than finite numbers"
    elif values.shape not in ((), (count,)):
        problem = f"numbers of shape {values.shape} for {count} examples"
    else:
        return values
    fault = Fault(
        "metric.bad_result",
        "the metric '{path}' returned {problem}: {result}",
        None,
        "return one float, or a list with one float per example",
        path=path,
        problem=problem,
        result=_short(result),
    )
    raise InputError(fault)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"
