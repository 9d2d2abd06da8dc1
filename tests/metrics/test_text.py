"""Scores of generated text, each against a computation of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from faults import full
from welltuned.errors import InputError
from welltuned.metrics.intervals import interval_at_bound
from welltuned.metrics.text import common_subsequence, rouge_l, score_text, words

REFERENCES = [
    "The cat sat on the mat, didn't it?",
    "A well-known author wrote 3 novels in 1999.",
    "Paris is the capital of France.",
    "To make tea, boil water and wait for 4 minutes.",
] * 10
PREDICTIONS = [
    "The cat is sitting on a mat.",
    "An author wrote three novels!",
    "Paris is the capital of France.",
    "",
] * 10
CHINESE = ["今天天气很好,我们去公园散步吧。", "使用Python编程很有趣。"]

WriteMetrics = Callable[[str], None]


@pytest.fixture
def write_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteMetrics:
    """Writes a module `my_metrics` that can be imported in this test only."""

    def write(source: str) -> None:
        (tmp_path / "my_metrics.py").write_text(source, encoding="utf-8")

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_metrics", raising=False)
    return write


# --- By example ---------------------------------------------------------------


def test_a_worked_example_comes_out_as_by_hand() -> None:
    scores = score_text(["a b c", " ", "x y"], ["a c d", "one", "x y"], intervals=False)
    assert scores["exact_match"] == pytest.approx(1 / 3)
    assert scores["rouge_l"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert scores["length_ratio"] == pytest.approx(5 / 6)
    assert scores["empty"] == pytest.approx(1 / 3)


def test_perfect_predictions_have_perfect_scores() -> None:
    scores = score_text(REFERENCES, REFERENCES, intervals=True)
    wanted = {"exact_match": 1, "rouge_l": 1, "length_ratio": 1, "empty": 0, "chrf": 100}
    for name, best in {**wanted, "bleu": 100}.items():
        assert scores[name] == pytest.approx(best)
        is_share = name in ("exact_match", "rouge_l", "empty")
        seen = interval_at_bound(best, len(REFERENCES)) if is_share else [best, best]
        assert scores[f"{name}_ci95"] == pytest.approx(seen)


@pytest.mark.parametrize(
    ("prediction", "reference", "same"),
    [
        (" 42\n", "42", 1),
        ("a \t b", "a b", 1),
        ("a\u3000b", "a b", 1),
        ("\uff11\uff12", "12", 1),
        ("cafe\u0301", "café", 1),
        ("Yes", "yes", 0),
        ("42.", "42", 0),
        ("ab", "a b", 0),
    ],
)
def test_an_exact_match_forgives_white_space_and_character_forms_alone(
    prediction: str, reference: str, same: int
) -> None:
    assert score_text([prediction], [reference], intervals=False)["exact_match"] == same


def test_nothing_against_nothing_is_finite() -> None:
    scores = score_text([""], ["\n"], intervals=True)
    numbers = [value for name, value in scores.items() if name != "signatures"]
    assert all(np.isfinite(number).all() for number in numbers)
    assert (scores["exact_match"], scores["empty"], scores["length_ratio"]) == (1, 1, 0)


def test_a_model_stuck_on_a_sign_is_long_and_not_empty() -> None:
    scores = score_text(["!" * 50], ["five words are wanted here"], intervals=False)
    assert (scores["length_ratio"], scores["empty"], scores["rouge_l"]) == (10, 0, 0)


@pytest.mark.parametrize(
    ("predictions", "references"), [([], []), (["a"], []), (["a"], ["b", "c"])]
)
def test_texts_without_partners_are_refused(predictions: list[str], references: list[str]) -> None:
    with pytest.raises(ValueError, match="predictions for"):
        score_text(predictions, references, intervals=False)


# --- Tokens and ROUGE-L -------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Don't stop, 3.14!", ["don", "t", "stop", "3", "14"]),
        ("Ein schönes Café_Haus", ["ein", "schönes", "café", "haus"]),
        ("今天天气很好。", list("今天天气很好")),
        ("使用Python3编程", ["使", "用", "python3", "编", "程"]),
        ("データを見る。\uff76\uff9e", list("データを見るガ")),
        ("한국어 text", ["한", "국", "어", "text"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("العَرَبِيَّة لغة", ["العَرَبِيَّة", "لغة"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("… — 。!", []),
    ],
)
def test_tokens_are_words_or_the_characters_of_unspaced_scripts(
    text: str, wanted: list[str]
) -> None:
    assert words(text) == wanted


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=90))
def test_a_common_subsequence_is_as_long_as_the_table_says(
    left: list[str], right: list[str]
) -> None:
    table = np.zeros((len(left) + 1, len(right) + 1), dtype=int)
    for i, a in enumerate(left, 1):
        for j, b in enumerate(right, 1):
            table[i, j] = max(table[i - 1, j], table[i, j - 1], table[i - 1, j - 1] + (a == b))
    assert common_subsequence(left, right) == table[-1, -1]
    assert common_subsequence(right, left) == table[-1, -1]


_ENGLISH = st.text(st.sampled_from("aAbBcC123 ,.'-_\n"), max_size=60)


@given(_ENGLISH, _ENGLISH)
def test_rouge_l_on_english_is_that_of_the_rouge_score_package(left: str, right: str) -> None:
    wanted = RougeScorer(["rougeL"]).score(right, left)["rougeL"].fmeasure
    assert rouge_l(left, right) == pytest.approx(wanted)


def test_the_mean_rouge_l_is_that_of_the_rouge_score_package() -> None:
    scorer = RougeScorer(["rougeL"])
    pairs = zip(PREDICTIONS, REFERENCES, strict=True)
    wanted = np.mean([scorer.score(r, p)["rougeL"].fmeasure for p, r in pairs])
    scores = score_text(PREDICTIONS, REFERENCES, intervals=False)
    assert scores["rouge_l"] == pytest.approx(wanted)


def test_rouge_l_reads_chinese() -> None:
    assert rouge_l("今天天气好", "今天天气很好") == pytest.approx(2 * 5 / (5 + 6))


def test_a_thousand_long_pairs_take_seconds() -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(map(str, random.integers(0, 300, 300))) for _ in range(1001)]
    rouge_l(*texts[:2])  # builds the pattern
    start = time.process_time()
    for prediction, reference in pairwise(texts):
        rouge_l(prediction, reference)
    assert time.process_time() - start < 5


# --- chrF and BLEU ------------------------------------------------------------


def test_chrf_and_bleu_are_sacrebleus() -> None:
    scores = score_text(PREDICTIONS, REFERENCES, intervals=False)
    assert scores["chrf"] == sacrebleu.corpus_chrf(PREDICTIONS, [REFERENCES]).score
    assert scores["bleu"] == sacrebleu.corpus_bleu(PREDICTIONS, [REFERENCES]).score
    assert "tok:13a" in scores["signatures"]["bleu"]


def test_bleu_reads_chinese_by_the_character() -> None:
    predictions = ["今天天气好,我们去公园吧。", "用Python编程有趣。"]
    scores = score_text(predictions, CHINESE, intervals=False)
    assert scores["bleu"] == sacrebleu.corpus_bleu(predictions, [CHINESE], tokenize="zh").score
    assert scores["bleu"] > 10
    assert "tok:zh" in scores["signatures"]["bleu"]


@pytest.mark.parametrize("references", [["Beijing (北京) is the capital"], ["日本語を話します"]])
def test_neither_a_chinese_name_nor_japanese_makes_references_chinese(
    references: list[str],
) -> None:
    assert "tok:13a" in score_text(references, references, False)["signatures"]["bleu"]


def test_the_language_is_that_of_the_references() -> None:
    scores = score_text(["Nothing Chinese here"] * 2, CHINESE, intervals=False)
    assert "tok:zh" in scores["signatures"]["bleu"]


def test_without_sacrebleu_its_scores_are_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    scores = score_text(PREDICTIONS, REFERENCES, intervals=True)
    assert "chrf" not in scores and "bleu" not in scores and "rouge_l" in scores
    assert scores["left_out"].keys() == {"chrf", "bleu"}
    assert "pip install 'welltuned[text]'" in scores["left_out"]["bleu"]


def test_with_sacrebleu_nothing_is_left_out() -> None:
    assert "left_out" not in score_text(PREDICTIONS, REFERENCES, intervals=False)


# --- Intervals ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["exact_match", "rouge_l", "length_ratio", "empty", "chrf", "bleu"]
)
def test_every_score_lies_within_its_interval(name: str) -> None:
    scores = score_text(PREDICTIONS, REFERENCES, intervals=True)
    low, high = scores[f"{name}_ci95"]
    assert low < scores[name] < high


def test_intervals_come_only_when_asked_for() -> None:
    scores = score_text(PREDICTIONS, REFERENCES, intervals=False)
    assert not [name for name in scores if name.endswith("_ci95")]


def test_the_interval_of_bleu_is_that_of_resampled_texts() -> None:
    random = np.random.default_rng(7)
    draws = []
    for _ in range(300):
        rows = random.integers(0, len(REFERENCES), len(REFERENCES))
        drawn = [PREDICTIONS[row] for row in rows], [[REFERENCES[row] for row in rows]]
        draws.append(sacrebleu.corpus_bleu(*drawn).score)
    interval = score_text(PREDICTIONS, REFERENCES, intervals=True)["bleu_ci95"]
    assert interval == pytest.approx(np.percentile(draws, [2.5, 97.5]), rel=0.15)


def test_the_same_texts_give_the_same_intervals() -> None:
    first = score_text(PREDICTIONS, REFERENCES, intervals=True)
    np.random.seed(5)
    assert score_text(PREDICTIONS, REFERENCES, intervals=True) == first


# --- The user's own -----------------------------------------------------------


def test_a_metric_of_ones_own_is_a_number_or_numbers_by_example(
    write_metrics: WriteMetrics,
) -> None:
    write_metrics(
        "def total(p, r): return sum(map(len, p))\n"
        "def same(p, r): return [float(a == b) for a, b in zip(p, r)]\n"
    )
    own = ("my_metrics.total", "my_metrics.same")
    scores = score_text(PREDICTIONS, REFERENCES, intervals=True, extra=own)
    assert scores["my_metrics.total"] == sum(map(len, PREDICTIONS))
    assert scores["my_metrics.same"] == scores["exact_match"]
    assert scores["my_metrics.same_ci95"] == scores["exact_match_ci95"]
    assert "my_metrics.total_ci95" not in scores


def test_a_metric_cannot_change_the_texts_of_others(write_metrics: WriteMetrics) -> None:
    write_metrics("def clear(p, r):\n    p.clear()\n    return 0.0\n")
    own = ("my_metrics.clear", "my_metrics.clear")
    predictions = ["a", "b"]
    score_text(predictions, ["a", "b"], intervals=False, extra=own)
    assert predictions == ["a", "b"]


@pytest.mark.parametrize(
    ("result", "what"),
    [
        ("None", "something else than finite numbers result=None"),
        ("'0.5'", "something else than finite numbers result='0.5'"),
        ("float('nan')", "something else than finite numbers result=nan"),
        ("[0.1, float('inf')]", "something else than finite numbers"),
        ("[[1], [2, 3]]", "something else than finite numbers"),
        ("{'f1': 0.5}", "something else than finite numbers"),
        ("[0.1]", "shape (1,) for 2 examples"),
        ("[]", "shape (0,) for 2 examples"),
    ],
)
def test_a_result_that_is_no_score_is_refused_by_name(
    result: str, what: str, write_metrics: WriteMetrics
) -> None:
    write_metrics(f"def f(p, r): return {result}\n")
    with pytest.raises(InputError) as refused:
        score_text(["a", "b"], ["a", "b"], intervals=True, extra=["my_metrics.f"])
    (fault,) = full(refused.value.faults)
    assert fault.startswith("metric.bad_result path=my_metrics.f") and what in fault


def test_a_metric_that_fails_says_where(write_metrics: WriteMetrics) -> None:
    write_metrics("def f(p, r):\n    return len(p) / 0\n")
    with pytest.raises(InputError) as refused:
        score_text(["a"], ["a"], intervals=False, extra=["my_metrics.f"])
    (fault,) = full(refused.value.faults)
    assert fault.startswith(
        "my_metrics.py:2 metric.failed path=my_metrics.f error=ZeroDivisionError"
    )
