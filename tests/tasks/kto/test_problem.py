"""Whole runs on thumbs, and what is scored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from support import tune
from welltuned.artifact.predictor import Predictor
from welltuned.runs import Run
from welltuned.tasks import GenerationProblem, Kto, KtoProblem
from welltuned.tasks.grouped import ResponseTarget


@pytest.fixture(scope="module")
def thumbed(
    causal: Callable[..., str], thumbs: str, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A generator that has learned from thumbs. To be read, not changed."""
    training = {"num_train_epochs": 3, "load_best_model_at_end": False, "eval_strategy": "no"}
    task = {"type": "kto", "scored_examples": 2, "decoding": {"max_new_tokens": 4}}
    folder = tmp_path_factory.mktemp("thumbed") / "run"
    return tune(
        causal("llama"), thumbs, {"type": "lora", "r": 4}, folder, task=task, training=training
    )


def test_a_run_tells_good_answers_from_bad_ones(thumbed: Run) -> None:
    results = thumbed.results
    test, baselines = results["test"], results["baselines"]
    assert test["auc"] > 0.9 and baselines["untrained"]["auc"] == 0.5
    assert test["log_loss"] < baselines["untrained"]["log_loss"]
    assert baselines["untrained"]["log_loss"] == pytest.approx(np.log(2), abs=1e-3)
    assert test["chosen_reward"] > test["rejected_reward"] and test["kl"] >= 0
    assert results["metric"] == "log_loss" and "majority" in baselines
    assert results["proof"]["reloaded_difference"] < 1e-4


def test_what_results_is_an_ordinary_generator(thumbed: Run) -> None:
    predictor = Predictor.load(thumbed)
    assert isinstance(predictor.problem, GenerationProblem)
    assert isinstance(predictor.predict(["was it so good"])[0]["prediction"], str)


def test_rows_hold_answers_with_their_chances(thumbed: Run) -> None:
    rows = list(thumbed.read_lines("predictions.jsonl"))
    right = [row["prediction"] == row["label"] for row in rows]
    assert np.mean(right) == pytest.approx(thumbed.results["test"]["accuracy"])
    answered = [row for row in rows if "response" in row]
    known = {"before", "reference", "prompt"}
    assert len(answered) == 2 and all(known <= set(row) for row in answered)
    assert "true" in thumbed.report.read_text(encoding="utf-8")


def test_scores_are_those_of_rewards_above_the_baseline() -> None:
    problem = KtoProblem(Kto(beta=0.5), "plain", 1.0, 1.0)
    references = np.zeros(2)
    targets = np.empty(2, dtype=object)
    targets[:] = [
        ResponseTarget(np.array([3, 3]), score=score, reference_K=references)
        for score in (1.0, 0.0)
    ]
    found = problem.scorer.read(np.array([[4.0, 1.0], [-2.0, 3.0]]), targets)
    # Rewards are 2 and −1; answers to other prompts have gained 2 on average, so the baseline is 1.
    good = 1 / (1 + np.exp([-1.0, 2.0]))
    np.testing.assert_allclose(found.probabilities_NK[:, 1], good)
    assert found.said_N.tolist() == [1, 0] == found.true_N.tolist()
    assert found.details()["kl"] == 2.0
    assert found.rest == {"kl": 2.0, "chosen_reward": 2.0, "rejected_reward": -1.0, "auc": 1.0}
    shares = problem.scorer.majority(targets, targets)
    assert shares["log_loss"] == pytest.approx(np.log(2))


def test_it_describes_itself() -> None:
    problem = KtoProblem(Kto(beta=0.3), "plain", 1.0, 2.0)
    config = problem.to_dict()["config"]
    assert isinstance(config, dict) and config["beta"] == 0.3
    assert problem.presenter.target_of(ResponseTarget(np.array([1]), score=0.0)) == "false"
    assert problem.presenter.describe(np.array([[-1.5, 0.0]])) == [{"logprob": -1.5}]
