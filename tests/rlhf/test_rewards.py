"""Judges of every kind, and what they may not give back."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import welltuned as wt
from faults import fails, refused
from support import make_rows, short_tune, write_rows
from welltuned.errors import Place, Stopped
from welltuned.rlhf.algorithms.ppo import Ppo
from welltuned.rlhf.reward_set import RewardSet
from welltuned.rlhf.rewards import RewardFunction, WeightedReward, build_reward
from welltuned.rlhf.stage_config import RewardSource
from welltuned.runs import Run

CPU = torch.device("cpu")
PROMPTS, RESPONSES = ["the film ", "the room "], ["was good and great", "was bad"]


def source(**values: Any) -> RewardSource:
    return RewardSource.model_validate(values)


# --- Functions --------------------------------------------------------------------


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """An importable module of the user's."""
    module = types.ModuleType("my_rewards")
    monkeypatch.setitem(sys.modules, "my_rewards", module)
    return module


def test_a_function_is_called_with_prompts_and_responses(mine: Any) -> None:
    heard: list[Any] = []

    def score(prompts: Any, responses: Any) -> list[int]:
        heard.append((prompts, responses))
        return [1, 2]

    mine.score = score
    judge = build_reward(source(function="my_rewards.score"), None, CPU)
    rewards = judge(tuple(PROMPTS), tuple(RESPONSES))
    assert rewards.dtype == np.float32 and rewards.tolist() == [1, 2]
    assert heard == [(PROMPTS, RESPONSES)]


@pytest.mark.parametrize(
    ("given", "code", "values"),
    [
        ([1.0], "bad_shape", {"shape": (1,), "responses": 2}),
        ([[1.0], [2.0]], "bad_shape", {"shape": (2, 1)}),
        (3.0, "bad_shape", {"shape": ()}),
        (["good", "bad"], "not_numbers", {}),
        (None, "bad_shape", {"shape": ()}),
        ([1.0, float("nan")], "not_finite", {"number": 2, "response": "was bad"}),
        ([float("inf"), 0.0], "not_finite", {"number": 1, "reward": float("inf")}),
    ],
)
def test_what_is_no_reward_is_refused_with_the_response(
    given: Any, code: str, values: dict[str, Any], mine: Any
) -> None:
    mine.score = lambda prompts, responses: given
    judge = build_reward(source(function="my_rewards.score"), None, CPU)
    with fails(f"rlhf.reward_{code}", name="my_rewards.score", **values):
        judge(PROMPTS, RESPONSES)


def test_a_function_that_raises_is_told_with_its_line(mine: Any) -> None:
    def score(prompts: Any, responses: Any) -> Any:
        return 1 / 0

    mine.score = score
    with fails("rlhf.reward_failed", kind="ZeroDivisionError") as error:
        build_reward(source(function="my_rewards.score"), None, CPU)(PROMPTS, RESPONSES)
    (fault,) = error.value.faults
    assert fault.place == Place(__file__, score.__code__.co_firstlineno + 1)


def test_a_signal_that_arrives_while_judging_stops_the_run(mine: Any) -> None:
    def score(prompts: Any, responses: Any) -> Any:
        raise Stopped(15)

    mine.score = score
    with pytest.raises(Stopped):
        build_reward(source(function="my_rewards.score"), None, CPU)(PROMPTS, RESPONSES)


def test_tensors_will_do(mine: Any) -> None:
    mine.score = lambda prompts, responses: torch.tensor([1.0, 2.0], requires_grad=True)
    assert build_reward(source(function="my_rewards.score"), None, CPU)(PROMPTS, RESPONSES)[1] == 2


def test_a_function_that_is_not_there_is_refused() -> None:
    with refused("import.failed", what="reward", path="no_such.thing"):
        build_reward(source(function="no_such.thing"), None, CPU)


# --- Classifiers ------------------------------------------------------------------


def logits_of(run: Run, texts: list[str]) -> np.ndarray:
    predictor = wt.load(run)
    return predictor.outputs(predictor.problem.codec.records_of(texts))


@pytest.mark.parametrize("label", ["positive", "negative"])
def test_a_classification_run_gives_the_log_odds_of_a_label(
    label: str, classified: Callable[..., Run]
) -> None:
    run = classified("full")
    judge = build_reward(source(run=str(run.folder), label=label), None, CPU)
    logits = logits_of(run, [p + r for p, r in zip(PROMPTS, RESPONSES, strict=True)])
    odds = (logits[:, 1] - logits[:, 0]) * (1 if label == "positive" else -1)
    np.testing.assert_allclose(judge(PROMPTS, RESPONSES), odds, atol=1e-5)
    shares = build_reward(source(run=str(run.folder), label=label, score="probability"), None, CPU)
    np.testing.assert_allclose(shares(PROMPTS, RESPONSES), 1 / (1 + np.exp(-odds)), atol=1e-5)
    only = build_reward(source(run=str(run.folder), label=label, reads="response"), None, CPU)
    alone = logits_of(run, RESPONSES)
    odds = (alone[:, 1] - alone[:, 0]) * (1 if label == "positive" else -1)
    np.testing.assert_allclose(only(PROMPTS, RESPONSES), odds, atol=1e-5)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """`plain(3)`: a classifier of transformers that never heard of this package."""
    from transformers import BertForSequenceClassification

    from support import make_config, make_tokenizer

    def make(labels: int, problem: str | None = None) -> str:
        folder = tmp_path_factory.mktemp("plain")
        torch.manual_seed(labels)
        config = make_config(
            "bert", num_labels=labels, id2label={i: f"label{i}" for i in range(labels)}
        )
        config.problem_type = problem
        model = BertForSequenceClassification(config)
        torch.nn.init.normal_(model.classifier.weight)
        model.save_pretrained(folder)
        make_tokenizer("encoder", "bert").save_pretrained(folder)
        return str(folder)

    return make


def own_logits(folder: str, texts: list[str], pairs: list[str] | None = None) -> torch.Tensor:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**tokenizer(texts, pairs, padding=True, return_tensors="pt")).logits


def test_any_classifier_of_transformers_judges(plain: Callable[..., str]) -> None:
    folder = plain(3)
    judge = build_reward(source(model=folder, label="label1"), None, CPU)
    logits = own_logits(folder, [p + r for p, r in zip(PROMPTS, RESPONSES, strict=True)])
    expected = logits[:, 1] - logits[:, [0, 2]].logsumexp(1)
    np.testing.assert_allclose(judge(PROMPTS, RESPONSES), expected, atol=1e-5)
    pair = build_reward(source(model=folder, label="label1", reads="pair"), None, CPU)
    logits = own_logits(folder, PROMPTS, RESPONSES)
    expected = logits[:, 1] - logits[:, [0, 2]].logsumexp(1)
    np.testing.assert_allclose(pair(PROMPTS, RESPONSES), expected, atol=1e-5)


def test_a_model_with_one_output_gives_that(plain: Callable[..., str]) -> None:
    folder = plain(1)
    judge = build_reward(source(model=folder), None, CPU)
    texts = [p + r for p, r in zip(PROMPTS, RESPONSES, strict=True)]
    np.testing.assert_allclose(
        judge(PROMPTS, RESPONSES), own_logits(folder, texts)[:, 0], atol=1e-5
    )
    with refused("rlhf.reward_label_of_number", label="label0"):
        build_reward(source(model=folder, label="label0"), None, CPU)


def test_with_several_labels_at_once_each_has_odds_of_its_own(plain: Callable[..., str]) -> None:
    folder = plain(3, "multi_label_classification")
    judge = build_reward(source(model=folder, label="label2"), None, CPU)
    texts = [p + r for p, r in zip(PROMPTS, RESPONSES, strict=True)]
    np.testing.assert_allclose(
        judge(PROMPTS, RESPONSES), own_logits(folder, texts)[:, 2], atol=1e-5
    )


def test_which_label_is_good_has_to_be_said(
    plain: Callable[..., str], classified: Callable[..., Run]
) -> None:
    for values in ({"model": plain(3)}, {"run": str(classified("full").folder)}):
        with refused("rlhf.reward_label_missing"):
            build_reward(source(**values), None, CPU)
        with refused("rlhf.reward_label_unknown", label="god"):
            build_reward(source(**values, label="god"), None, CPU)


def test_a_trunk_without_a_head_is_no_judge(tiny: Callable[..., str]) -> None:
    with refused("rlhf.model_not_a_classifier"):
        build_reward(source(model=tiny("bert")), None, CPU)


def test_a_generator_is_no_judge(told: Callable[..., Run]) -> None:
    with refused("rlhf.run_cannot_judge", task="generation"):
        build_reward(source(run=str(told("full").folder)), None, CPU)


def test_a_run_of_numbers_judges_in_its_own_units(tiny: Any, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": i / 7} for i, row in enumerate(make_rows(60))]
    file = write_rows(tmp_path / "numbers.jsonl", rows)
    run = short_tune(tiny("bert"), file, {"type": "full"}, tmp_path / "run")
    judge = build_reward(source(run=str(run.folder)), None, CPU)
    texts = [p + r for p, r in zip(PROMPTS, RESPONSES, strict=True)]
    expected = [row["prediction"] for row in wt.load(run).predict(texts)]
    np.testing.assert_allclose(judge(PROMPTS, RESPONSES), expected, atol=1e-4)


def test_a_folder_of_ours_named_as_a_model_is_read_as_a_run(classified: Any) -> None:
    run = classified("lora")
    one = build_reward(source(model=str(run.model), label="positive"), None, CPU)
    other = build_reward(source(run=str(run.folder), label="positive"), None, CPU)
    np.testing.assert_array_equal(one(PROMPTS, RESPONSES), other(PROMPTS, RESPONSES))


# --- Sums -------------------------------------------------------------------------


def test_several_judges_are_added_up_by_weight() -> None:
    long = RewardFunction("long", lambda p, r: [len(text) for text in r], weight=0.5)
    fixed = RewardFunction("fixed", lambda p, r: [3.0] * len(r), weight=-2)
    reward = WeightedReward((long, fixed))
    assert reward(PROMPTS, RESPONSES).tolist() == [9 - 6, 3.5 - 6]
    assert [part.tolist() for part in reward.parts(PROMPTS, RESPONSES)] == [[18, 7], [3, 3]]


def test_every_label_is_judged_for_every_prompt() -> None:
    judge = RewardFunction(
        "pairs", lambda p, r: [len(a) * 10 + len(b) for a, b in zip(p, r, strict=True)]
    )
    rewards = WeightedReward((judge,)).of_all(["a", "bb"], ["x", "yy", "zzz"])
    assert rewards.tolist() == [[11, 12, 13], [21, 22, 23]]


def test_a_judge_with_another_tokenizer_is_noted_and_reads_text(
    classified: Callable[..., Run], told: Callable[..., Run]
) -> None:
    judge = source(run=str(classified("full").folder), label="positive")
    alike, other = wt.load(classified("lora")), wt.load(told("full", "qwen2"))
    judges = RewardSet.load([(judge, None)], Ppo(), other.problem, CPU)
    assert judges.notes(alike.tokenizer) == []
    assert "has a tokenizer of its own" in judges.notes(other.tokenizer)[0]
    mine = RewardSet(WeightedReward((RewardFunction("mine", lambda p, r: [0.0] * len(r)),)), None)
    assert mine.notes(other.tokenizer) == []


def test_a_classifier_reads_an_answer_after_a_line_break_and_a_text_as_it_goes_on(
    classified: Callable[..., Run], told: Callable[..., Run]
) -> None:
    run = classified("full")
    judge = source(run=str(run.folder), label="positive")
    for problem, joint in ((wt.load(told("full")).problem, ""), (wt.load(run).problem, "\n")):
        judges = RewardSet.load([(judge, None)], Ppo(), problem, CPU)
        texts = [p + joint + r for p, r in zip(PROMPTS, RESPONSES, strict=True)]
        logits = logits_of(run, texts)
        found = judges.reward(PROMPTS, RESPONSES)
        np.testing.assert_allclose(found, logits[:, 1] - logits[:, 0], atol=1e-5)
