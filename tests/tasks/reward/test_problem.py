"""Reward models: losses by hand, and whole runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faults import full, noted, refused
from support import (
    job_for,
    make_preferences,
    make_ratings,
    make_rows,
    short_tune,
    tune,
    write_rows,
)
from welltuned.artifact.predictor import Predictor
from welltuned.artifact.save_load import load_artifact
from welltuned.config import run_config_from
from welltuned.errors import InputError
from welltuned.evaluation.predict import predict_outputs, to_device
from welltuned.models.scalar_head import scalar_layer
from welltuned.runs import Run
from welltuned.tasks.reward import Reward, RewardProblem
from welltuned.tasks.reward.objective import bradley_terry
from welltuned.training.preparation.prepare import prepare

LORA = {"type": "lora", "r": 4}
FULL = {"type": "full"}


def job_of(model: str, data: str, task: dict[str, Any] | None = None, **parts: Any) -> Any:
    return job_for(model, data, FULL, task={"type": "reward", **(task or {})}, **parts)


def batch_of(job: Any, indices: list[int]) -> dict[str, torch.Tensor]:
    return to_device(job.problem.codec.collate(job.examples, indices, job.pad_id), job.device)


# --- The loss --------------------------------------------------------------------


def test_r1_equal_rewards_cost_ln_2_and_the_slope_is_minus_sigmoid_of_minus_the_gap() -> None:
    """(R1)"""
    gaps = torch.tensor([0.0, 1.5, -2.0, 40.0, -40.0], requires_grad=True)
    losses = bradley_terry(gaps)
    losses.sum().backward()
    assert losses[0].item() == pytest.approx(math.log(2))
    assert gaps.grad is not None
    torch.testing.assert_close(gaps.grad, -torch.sigmoid(-gaps.detach()))
    assert torch.isfinite(losses).all()


def test_r1_a_head_of_zeros_costs_ln_2_a_pair(tiny: Any, preferences: str) -> None:
    """(R1) Whatever the trunk says."""
    job = job_of(tiny("bert"), preferences)
    torch.nn.init.zeros_(scalar_layer(job.model).weight)
    batch = batch_of(job, [0, 1, 2])
    loss = job.problem.objective.loss(job.model, batch) / job.problem.objective.count(batch)
    assert loss.item() == pytest.approx(math.log(2), rel=1e-6)


def by_hand(problem: RewardProblem, rewards: Any, batch: dict[str, torch.Tensor]) -> float:
    total = 0.0
    for (better, worse), margin, weight in zip(
        batch["pairs"].tolist(), batch["margins"].tolist(), batch["weights"].tolist(), strict=True
    ):
        gap = rewards[better] - rewards[worse] - margin
        drift = problem.coefficient * (rewards[better] + rewards[worse]) ** 2
        total += weight * (math.log(1 + math.exp(-gap)) + drift)
    return total


def test_margins_weights_and_centring_enter_the_loss(tiny: Any, tmp_path: Path) -> None:
    """A better response has to score so much more; a ranking counts as one judgement."""
    rows: list[dict[str, Any]] = [
        {**row, "margin": i % 3} for i, row in enumerate(make_preferences(30))
    ]
    data = write_rows(tmp_path / "a.jsonl", rows)
    ranked = [
        {"prompt": row["text"], "responses": ["very good", "not good", "bad", "so bad"]}
        for row in make_rows(30)
    ]
    for file, task in (
        (data, {"center_rewards_coefficient": 0.5}),
        (data, {"center_rewards_coefficient": 0}),
        (write_rows(tmp_path / "b.jsonl", ranked), {}),
    ):
        job = job_of(tiny("bert"), file, task)
        batch = batch_of(job, [0, 1, 2, 3])
        job.model.eval()
        outputs = job.problem.objective.outputs(job.model, batch)
        rewards = outputs[batch["grid"] >= 0].tolist()
        wanted = by_hand(job.problem, rewards, batch)
        assert job.problem.objective.loss(job.model, batch).item() == pytest.approx(
            wanted, rel=1e-5
        )
    assert job.problem.objective.count(batch) == pytest.approx(4) and len(batch["pairs"]) == 4 * 6


def test_ratings_are_learned_by_least_squares_in_units_of_their_spread(
    tiny: Any, ratings: str
) -> None:
    job = job_of(tiny("bert"), ratings)
    batch = batch_of(job, list(range(8)))
    job.model.eval()
    said = job.problem.objective.outputs(job.model, batch)[:, 0]
    wanted = (batch["scores"] - job.problem.shift) / job.problem.scale
    loss = job.problem.objective.loss(job.model, batch)
    torch.testing.assert_close(loss, (said - wanted).square().sum())
    assert job.problem.objective.count(batch) == 8
    scores = [target.score for target in job.examples.targets]
    assert (np.mean(scores), np.std(scores)) == pytest.approx(
        (job.problem.shift, job.problem.scale)
    )


def test_r4_a_new_head_starts_small_and_without_bias(tiny: Any, preferences: str) -> None:
    """(R4) The same for the same seed."""
    layers = [scalar_layer(job_of(tiny("bert"), preferences).model) for _ in range(2)]
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert layers[0].bias.item() == 0
    ordinary = scalar_layer(
        job_for(tiny("bert"), preferences, FULL, task={"type": "reward", "pooling": "model"}).model
    )
    spread = 1 / math.sqrt(33)
    assert layers[0].weight.std().item() == pytest.approx(spread, rel=0.4)
    assert ordinary.weight.std().item() == pytest.approx(spread, rel=0.4)


def test_r5_all_pairs_of_a_prompt_are_in_one_batch(tiny: Any, preferences: str) -> None:
    """(R5) And no response is read twice."""
    job = job_of(tiny("bert"), preferences)
    double = [i for i, target in enumerate(job.examples.targets) if len(target.pairs) == 2]
    batch = batch_of(job, double[:1])
    rows = {tuple(row) for row in batch["input_ids"].tolist()}
    assert len(rows) == len(batch["input_ids"]) in (3, 4) and len(batch["pairs"]) == 2


# --- Runs ------------------------------------------------------------------------


def test_a_run_learns_what_is_preferred(rewarded: Run) -> None:
    test, baselines = rewarded.results["test"], rewarded.results["baselines"]
    assert test["pair_accuracy"] == 1 and test["margin"] > 0.3
    assert test["pair_accuracy_ci95"][0] > 0.5 and test["pair_accuracy_ci95"][1] == 1
    assert baselines["majority"]["pair_accuracy"] == 0.5
    assert baselines["majority"]["log_loss"] == pytest.approx(math.log(2))
    assert 0 < baselines["longer"]["pair_accuracy"] < 1
    assert 0 <= baselines["untrained"]["pair_accuracy"] <= 1
    assert rewarded.results["metric"] == "log_loss"


def test_r3_saved_rewards_have_mean_zero_on_the_training_data(
    rewarded: Run, preferences: str, tiny: Any
) -> None:
    """(R3) The constant that preferences leave open is folded into the head."""
    values = {key: value for key, value in rewarded.config.items() if key != "schema_version"}
    config = run_config_from({**values, "output_dir": None})
    prepared = prepare(config)
    artifact = load_artifact(rewarded.model)
    examples = prepared.examples["train"]
    outputs = predict_outputs(artifact.model, artifact.problem, examples, prepared.pad_id, 16)
    assert examples.targets is not None
    rewards = [row[: len(t.lengths_K)] for row, t in zip(outputs, examples.targets, strict=True)]
    assert abs(np.concatenate(rewards).mean()) < 1e-5 < np.concatenate(rewards).std()


def test_r3_without_centring_the_head_is_as_it_was_trained(
    tiny: Any, preferences: str, tmp_path: Path
) -> None:
    """(R3) Accuracies are the same, for only differences count."""
    runs = [
        short_tune(
            tiny("bert"), preferences, FULL, tmp_path / str(centred),
            task={"type": "reward", "center_rewards": centred},
        )
        for centred in (True, False)
    ]  # fmt: skip
    biases = [scalar_layer(load_artifact(run.model).model).bias.item() for run in runs]
    assert abs(biases[0] - biases[1]) > 1e-4
    tests = [run.results["test"] for run in runs]
    for name in ("pair_accuracy", "margin", "log_loss"):
        assert tests[0][name] == pytest.approx(tests[1][name], abs=1e-4)


def test_the_artifact_is_a_sequence_classifier_with_one_label(rewarded: Run) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(rewarded.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(rewarded.model)
    card = (rewarded.model / "README.md").read_text(encoding="utf-8")
    assert 'wt.load("THIS_FOLDER").rewards(["a prompt"], ["a response"])' in card
    assert model.config.num_labels == 1 and model.config.id2label == {0: "reward"}
    row = next(iter(rewarded.read_lines("predictions.jsonl")))
    texts = [row["prompt"]] * 2, [row["chosen"], row["rejected"]]
    said = model(**tokenizer(*texts, padding=True, return_tensors="pt")).logits[:, 0].tolist()
    assert said == pytest.approx(list(row["rewards"].values()), abs=1e-5)


def test_predictions_are_pairs_with_their_rewards(rewarded: Run) -> None:
    rows = list(rewarded.read_lines("predictions.jsonl"))
    assert len(rows) == rewarded.results["test"]["pairs"]
    right = [row["prediction"] == row["label"] == "chosen" for row in rows]
    assert np.mean(right) == rewarded.results["test"]["pair_accuracy"]
    for row in rows:
        gap = row["rewards"]["chosen"] - row["rewards"]["rejected"]
        assert row["probabilities"]["chosen"] == pytest.approx(1 / (1 + math.exp(-gap)), abs=1e-5)


def test_rewards_of_the_predictor_are_those_of_the_test(rewarded: Run) -> None:
    rows = list(rewarded.read_lines("predictions.jsonl"))
    predictor = Predictor.load(rewarded)
    prompts, said = [row["prompt"] for row in rows], [row["chosen"] for row in rows]
    found = predictor.rewards(prompts, said)
    assert found.shape == (len(rows),) and found.dtype == np.float64
    wanted = [row["rewards"]["chosen"] for row in rows]
    assert found == pytest.approx(wanted, abs=1e-5)
    assert predictor.rewards(prompts, said, batch_size=3) == pytest.approx(found, abs=1e-5)
    asked = predictor.predict(list(zip(prompts, said, strict=True)))
    assert [row["prediction"] for row in asked] == pytest.approx(found, abs=1e-6)


def test_rewards_take_conversations_nothing_and_no_one(rewarded: Run) -> None:
    predictor = Predictor.load(rewarded)
    turns = [{"role": "user", "content": "was it so good"}]
    assert predictor.rewards([turns, "was it so good"], ["it was bad"] * 2).std() < 1e-6
    assert np.isfinite(predictor.rewards(["was it", ""], ["", ""])).all()
    assert predictor.rewards([], []).shape == (0,)


def test_rewards_refuse_what_they_cannot_judge(rewarded: Run, finished: Run) -> None:
    predictor = Predictor.load(rewarded)
    with refused("predict.prompts_and_responses_differ", prompts=2, responses=1):
        predictor.rewards(["a", "b"], ["c"])
    with refused("task.prompt_missing"):
        predictor.predict(["only a text"])
    with refused("predict.not_a_reward_model", task="classification"):
        Predictor.load(finished).rewards(["a"], ["b"])


def test_a_file_is_evaluated_and_answered(rewarded: Run, tmp_path: Path) -> None:
    rows = make_preferences(10, seed=3)
    file = write_rows(tmp_path / "more.jsonl", rows)
    predictor = Predictor.load(rewarded)
    scores = predictor.evaluate(file)
    assert scores["pairs"] == 13 and scores["examples"] == 10
    assert scores["pair_accuracy"] > 0.9 and "pair_accuracy_ci95" in scores
    every = list(predictor.answer_file(file))
    assert [row["id"] for _, row in every] == [f"{file}:{n}" for n in range(1, len(rows) + 1)]
    for given, (asked, row) in zip(rows, every, strict=True):
        assert asked == (given["prompt"], [given["chosen"], given["rejected"]])
        assert len(row["prediction"]) == 2
    single = [{"prompt": row["prompt"], "response": row["chosen"]} for row in rows]
    answers = list(predictor.answer_file(write_rows(tmp_path / "single.jsonl", single)))
    wanted = predictor.rewards([row["prompt"] for row in rows], [row["chosen"] for row in rows])
    assert [row["prediction"] for _, row in answers] == pytest.approx(wanted, abs=1e-5)
    assert answers[0][0] == (rows[0]["prompt"], rows[0]["chosen"])
    single[1]["response"] = " "
    answers = list(predictor.answer_file(write_rows(tmp_path / "blank.jsonl", single)))
    assert [row["prediction"] is None for _, row in answers] == [i == 1 for i in range(len(rows))]


def test_files_that_cannot_be_judged_are_refused(rewarded: Run, tmp_path: Path) -> None:
    predictor = Predictor.load(rewarded)
    single = write_rows(tmp_path / "a.jsonl", [{"prompt": "was it", "response": "good"}])
    with refused("task.responses_not_judged", place=f"{single}:1"):
        predictor.evaluate(single)
    texts = write_rows(tmp_path / "b.jsonl", [{"text": "good"}])
    with refused("task.prompt_column_missing", columns="text"):
        list(predictor.answer_file(texts))


def test_ratings_are_said_in_the_users_units(tiny: Any, ratings: str, tmp_path: Path) -> None:
    training = {"num_train_epochs": 6, "learning_rate": 3e-3}
    gently = {"type": "full", "head_learning_rate_scale": 10}
    run = tune(tiny("bert"), ratings, gently, tmp_path / "run", task="reward", training=training)
    test = run.results["test"]
    page = run.report.read_text(encoding="utf-8")
    assert "Predicted against true numbers" in page and "Worst mistakes" in page
    assert test["r2"] > 0.8 and test["mae"] < 3 and -1 <= test["length_correlation"] <= 1
    assert run.results["baselines"]["majority"]["r2"] == pytest.approx(0, abs=0.1)
    assert set(run.results["baselines"]) == {"majority", "untrained"}
    rows = list(run.read_lines("predictions.jsonl"))
    found = Predictor.load(run).rewards(
        [row["prompt"] for row in rows], [row["response"] for row in rows]
    )
    assert found == pytest.approx([row["prediction"] for row in rows], abs=1e-4)
    assert np.abs(found - [row["label"] for row in rows]).mean() == pytest.approx(
        test["mae"], abs=1e-4
    )
    scores = Predictor.load(run).evaluate(
        write_rows(tmp_path / "pairs.jsonl", make_preferences(8, seed=4))
    )
    assert scores["pair_accuracy"] > 0.9


def test_texts_are_rated_by_themselves(tiny: Any, tmp_path: Path) -> None:
    rows = [
        {"text": row["text"], "score": 1 + 2 * (row["label"] == "positive")}
        for row in make_rows(60)
    ]
    data = write_rows(tmp_path / "texts.jsonl", rows)
    run = short_tune(tiny("bert"), data, FULL, tmp_path / "run", task="reward")
    predictor = Predictor.load(run)
    row = next(iter(run.read_lines("predictions.jsonl")))
    assert predictor.predict([row["text"]])[0]["prediction"] == pytest.approx(row["prediction"])
    joined = predictor.rewards(["the film"], ["was good"])
    assert joined == pytest.approx(predictor.predict(["the film\nwas good"])[0]["prediction"])


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_r2_decoders_are_read_at_the_last_real_token(
    family: str, tiny: Any, preferences: str, tmp_path: Path
) -> None:
    """(R2) Padding on either side, padding that is the end token, and a text of one token."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run = short_tune(tiny(family), preferences, FULL, tmp_path / "run", task="reward")
    assert run.config["task"]["pooling"] == "last"
    tokenizer = AutoTokenizer.from_pretrained(run.model)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 5
    prompts, said = ["", "was it", "the film was so"], ["", "good", "bad and cold"]
    found = Predictor.load(run).rewards(prompts, said)
    model = AutoModelForSequenceClassification.from_pretrained(run.model).eval()
    texts = ["[EOS]", "was it\ngood[EOS]", "the film was so\nbad and cold[EOS]"]
    for side in ("left", "right"):
        tokenizer.padding_side = side
        batch = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
        assert batch["attention_mask"].sum(1).tolist() == [1, 4, 8]
        with torch.no_grad():
            assert model(**batch).logits[:, 0].numpy() == pytest.approx(found, abs=1e-5)


# --- What is refused -----------------------------------------------------------------


def refusal_of(model: str, data: Any, tmp_path: Path, **parts: Any) -> str:
    parts.setdefault("task", "reward")
    with pytest.raises(InputError) as error:
        tune(model, data, parts.pop("strategy", FULL), tmp_path / "run", **parts)
    assert not (tmp_path / "run").exists()
    return "\n".join(full(error.value.faults))


def test_splits_of_different_kinds_are_refused(
    tiny: Any, preferences: str, ratings: str, tmp_path: Path
) -> None:
    told = refusal_of(tiny("bert"), {"train": preferences, "test": ratings}, tmp_path)
    assert told.startswith("ratings.jsonl task.mixed_judgements ")
    assert "train has preferences" in told and "test has ratings of responses" in told


def test_a_prompt_in_two_splits_is_a_leak(tiny: Any, preferences: str, tmp_path: Path) -> None:
    """Though the responses differ."""
    row = make_preferences(1)[0]
    other = write_rows(tmp_path / "b.jsonl", [{**row, "chosen": "good", "rejected": "bad"}])
    told = refusal_of(tiny("bert"), {"train": preferences, "test": other}, tmp_path)
    assert "also in another: 1 (train/test 1" in told


def test_equal_ratings_are_refused(tiny: Any, tmp_path: Path) -> None:
    rows = [{**row, "score": 3} for row in make_ratings(20)]
    told = refusal_of(tiny("bert"), write_rows(tmp_path / "a.jsonl", rows), tmp_path)
    assert told == "a.jsonl:1 task.scores_all_equal score=3.0"


def test_r6_when_all_pairs_are_the_same_once_cut_nothing_is_left(tiny: Any, tmp_path: Path) -> None:
    """(R6)"""
    same = " ".join(["it was so"] * 10)
    rows = [
        {"prompt": row["text"], "chosen": f"{same} good", "rejected": f"{same} bad"}
        for row in make_rows(30)
    ]
    data = write_rows(tmp_path / "a.jsonl", rows)
    task = {"type": "reward", "max_length": 16}
    told = refusal_of(tiny("bert"), data, tmp_path, task=task)
    assert told == "a.jsonl task.nothing_to_learn split=train tokens=16"


def test_pairs_that_are_the_same_once_cut_are_noted(tiny: Any, tmp_path: Path) -> None:
    rows = make_preferences(40)
    long = " ".join(["it was so"] * 10)
    rows[7] |= {"chosen": f"{long} good", "rejected": f"{long} bad"}
    file = write_rows(tmp_path / "a.jsonl", rows)
    values = {"model": tiny("bert"), "data": file, "task": {"type": "reward", "max_length": 24}}
    notes = prepare(run_config_from(values)).data.facts.notes
    assert "task.pairs_alike split=train number=1 lines=8" in noted(notes)


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ({"pooling": "model"}, "task.head_reads_padding"),
        ({"form": "plain"}, "task.conversation_as_plain_text"),
    ],
)
def test_what_a_decoder_cannot_do_is_refused(
    task: dict[str, Any], code: str, tiny: Any, tmp_path: Path
) -> None:
    rows = [
        {**row, "prompt": [{"role": "user", "content": row["prompt"]}]}
        for row in make_preferences(20)
    ]
    data = write_rows(tmp_path / "a.jsonl", rows)
    assert code in refusal_of(tiny("llama"), data, tmp_path, task={"type": "reward", **task})


def test_label_smoothing_is_refused(tiny: Any, preferences: str, tmp_path: Path) -> None:
    training = {"label_smoothing_factor": 0.1}
    assert "task.label_smoothing_unsupported" in refusal_of(
        tiny("bert"), preferences, tmp_path, training=training
    )


def test_the_memory_of_an_artifact_is_enough() -> None:
    problem = RewardProblem("ratings", True, "plain", 0.3, False, 2.0, 5.0)
    again = Reward.restore(json.loads(json.dumps(problem.to_dict())))
    outputs = np.array([[1.0], [2.0]])
    assert (
        again.presenter.describe(outputs)
        == problem.presenter.describe(outputs)
        == [
            {"prediction": 7.0},
            {"prediction": 9.0},
        ]
    )
    assert (again.source, again.by_itself, again.form) == ("ratings", True, "plain")
