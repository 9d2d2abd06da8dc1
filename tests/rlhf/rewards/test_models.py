"""Judges that are models, held against what these say by themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import welltuned as wt
from faults import refused
from support import make_rows, short_tune, write_rows
from welltuned.rlhf.rewards import JudgeSource
from welltuned.rlhf.rewards.build import build_reward
from welltuned.runs import Run

CPU = torch.device("cpu")
PROMPTS, RESPONSES = ["the film ", "the room "], ["was good and great", "was bad"]


def source(**values: Any) -> JudgeSource:
    return JudgeSource.model_validate(values)


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
