"""Classification: binding to data, the loss as (sum, count), values, baselines, artifacts."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn
from torch.nn import functional

from faults import full, noted
from support import build, encode, make_config, make_rows
from welltuned.data.facts import DataFacts
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.tasks.classification import (
    Classification,
    ClassificationProblem,
    MultiLabel,
    Regression,
    SingleLabel,
)
from welltuned.tasks.classification.labels import Labels
from welltuned.tasks.classification.probabilities import class_probabilities, label_probabilities

NAMES = ("bad", "fair", "good")
SINGLE = Labels("single_label", NAMES, NAMES)
MULTI = Labels("multi_label", NAMES, NAMES)
NUMBER = Labels("regression", ("score",), ("score",), mean=3.0, deviation=2.0)

PROBLEMS: dict[str, Any] = {
    "single": SingleLabel(SINGLE),
    "smoothed": SingleLabel(SINGLE, label_smoothing=0.2),
    "weighted": SingleLabel(SINGLE, class_weights=(0.2, 1.0, 5.0)),
    "weighted and smoothed": SingleLabel(SINGLE, (0.2, 1.0, 5.0), 0.2),
    "focal": SingleLabel(SINGLE, focal_gamma=2.0),
    "weighted and focal": SingleLabel(SINGLE, (0.2, 1.0, 5.0), focal_gamma=2.0),
    "multi": MultiLabel(MULTI),
    "multi weighted": MultiLabel(MULTI, (0.2, 1.0, 5.0)),
    "multi weighted and focal": MultiLabel(MULTI, (0.2, 1.0, 5.0), 2.0),
    "number": Regression(NUMBER),
}


def batch_of(problem: ClassificationProblem, number: int, seed: int = 0) -> Any:
    """(outputs that ask for gradients, batch)."""
    generator = torch.Generator().manual_seed(seed)
    width = 1 if problem.labelling.problem == "regression" else 3
    outputs = torch.randn(number, width, generator=generator).requires_grad_()
    labels = {
        "single_label": torch.randint(0, 3, (number,), generator=generator),
        "multi_label": torch.randint(0, 2, (number, 3), generator=generator).float(),
        "regression": torch.randn(number, generator=generator) * 2 + 3,
    }[problem.labelling.problem]
    return outputs, {"labels": labels}


def plain_mean(name: str, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The whole batch's mean loss, as torch's own modules or their papers define it."""
    weights = torch.tensor([0.2, 1.0, 5.0])
    if "focal" in name or name == "multi weighted":
        return by_definition(name, outputs.double(), labels, weights.double()).float()
    if name == "multi":
        return nn.BCEWithLogitsLoss()(outputs, labels)
    if name == "number":
        return nn.MSELoss()(outputs[:, 0], (labels - 3) / 2)
    return nn.CrossEntropyLoss(
        weight=weights if "weighted" in name else None,
        label_smoothing=0.2 if "smoothed" in name else 0.0,
    )(outputs, labels)


def by_definition(
    name: str, outputs: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Σ w (1 − p)^2 · −log p / Σ w, with the probabilities p of what is true."""
    if name.startswith("multi"):
        chances = torch.where(labels > 0.5, outputs.sigmoid(), (-outputs).sigmoid())
        counted = torch.where(labels > 0.5, weights, torch.ones_like(weights))
    else:
        chances = outputs.softmax(dim=1).gather(1, labels[:, None])[:, 0]
        counted = weights[labels] if "weighted" in name else torch.ones_like(chances)
    doubt = (1 - chances) ** 2 if "focal" in name else torch.ones_like(chances)
    return -(counted * doubt * chances.log()).sum() / counted.sum()


# --- Loss ---------------------------------------------------------------------


@pytest.mark.parametrize("name", PROBLEMS)
def test_sum_over_count_is_torchs_mean_loss(name: str) -> None:
    """Pitfall S3: torch divides by the sum of the weights of the labels, not by their number."""
    problem = PROBLEMS[name]
    outputs, batch = batch_of(problem, 16)
    mean = problem.objective.loss_sum(outputs, batch) / problem.objective.count(batch)
    torch.testing.assert_close(mean, plain_mean(name, outputs, batch["labels"]))


@pytest.mark.parametrize("sizes", [(16,), (8, 8), (1, 2, 13), (1,) * 16])
@pytest.mark.parametrize("name", PROBLEMS)
def test_micro_batches_give_the_whole_batchs_loss_and_gradient(
    name: str, sizes: tuple[int, ...]
) -> None:
    """Pitfalls S1, S2, S3: however unequal the micro-batches, smoothed and weighted or not."""
    problem = PROBLEMS[name]
    outputs, batch = batch_of(problem, 16)
    wanted = plain_mean(name, outputs, batch["labels"])
    (gradient,) = torch.autograd.grad(wanted, outputs)
    parts = [{"labels": part} for part in batch["labels"].split(sizes)]
    count = sum(problem.objective.count(part) for part in parts)
    losses = [
        problem.objective.loss_sum(out, part) / count
        for out, part in zip(outputs.split(sizes), parts, strict=True)
    ]
    for loss in losses:
        loss.backward(retain_graph=True)
    assert sum(loss.item() for loss in losses) == pytest.approx(wanted.item(), rel=1e-5)
    torch.testing.assert_close(outputs.grad, gradient, atol=1e-6, rtol=1e-5)


def test_a_mean_of_means_would_have_shown() -> None:
    """The negative control of pitfalls S1 and S3: unequal parts really differ in their means."""
    for name in ("single", "weighted"):
        outputs, batch = batch_of(PROBLEMS[name], 16)
        parts = zip(outputs.split((1, 15)), batch["labels"].split((1, 15)), strict=True)
        means = torch.stack([plain_mean(name, out, labels) for out, labels in parts])
        whole = plain_mean(name, outputs, batch["labels"])
        assert abs(means.mean() - whole).item() > 0.01


@pytest.mark.parametrize("accumulation", [1, 2, 8])
@pytest.mark.parametrize("name", ["single", "weighted and smoothed"])
def test_a_models_gradients_do_not_depend_on_accumulation(
    tiny: Any, name: str, accumulation: int
) -> None:
    """Pitfalls S1 and S2, through a whole model: texts of unequal length, padded by themselves."""
    model, _, _ = build(tiny("bert"), {"type": "full"}, labels=3)
    model.eval()
    problem, rows = PROBLEMS[name], make_rows(8, seed=4)
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])

    def gradients(size: int) -> list[torch.Tensor]:
        model.zero_grad()
        count = problem.objective.count({"labels": labels})
        for start in range(0, 8, size):
            texts = [row["text"] for row in rows[start : start + size]]
            batch = {**encode(tiny("bert"), texts), "labels": labels[start : start + size]}
            (
                problem.objective.loss_sum(problem.objective.outputs(model, batch), batch) / count
            ).backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    for one, other in zip(gradients(8), gradients(8 // accumulation), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_smoothing_spreads_the_target_over_all_classes() -> None:
    """Pitfall S2, by the definition: a cross-entropy against a soft target."""
    problem = PROBLEMS["smoothed"]
    outputs, batch = batch_of(problem, 5)
    soft = 0.8 * functional.one_hot(batch["labels"], 3) + 0.2 / 3
    wanted = -(soft * outputs.log_softmax(dim=1)).sum()
    torch.testing.assert_close(problem.objective.loss_sum(outputs, batch), wanted)


def test_the_count_is_known_before_the_model_runs() -> None:
    labels = torch.tensor([0, 2, 2])
    assert PROBLEMS["single"].objective.count({"labels": labels}) == 3
    assert PROBLEMS["weighted"].objective.count({"labels": labels}) == pytest.approx(0.2 + 5 + 5)
    assert PROBLEMS["multi"].objective.count({"labels": torch.zeros(4, 3)}) == 12
    flags = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    several = PROBLEMS["multi weighted"].objective.count({"labels": flags})
    assert several == pytest.approx(0.2 + 1 + 5 + 1 + 1 + 5)


def test_a_focal_loss_is_not_convex() -> None:
    """So that nobody looks for the optimum of a linear head."""
    convex = {name for name, problem in PROBLEMS.items() if problem.objective.is_convex}
    assert set(PROBLEMS) - convex == {"focal", "weighted and focal", "multi weighted and focal"}


def test_the_loss_is_computed_in_full_precision() -> None:
    class Half(nn.Module):
        def forward(self, input_ids: torch.Tensor) -> Any:
            return type("Out", (), {"logits": torch.ones(2, 3, dtype=torch.bfloat16)})()

    batch = {"input_ids": torch.zeros(2, 4), "labels": torch.zeros(2)}
    assert PROBLEMS["single"].objective.outputs(Half(), batch).dtype == torch.float32


# --- Binding ------------------------------------------------------------------


def collected(cells: list[Any], **others: list[Any]) -> DataSplits:
    def part(split: str) -> Records:
        labels = others.get(split, cells)
        texts = [f"{split} {i}" for i in range(len(labels))]
        lines = list(range(1, len(labels) + 1))
        return Records(f"{split}.jsonl", {"text": texts, "label": list(labels)}, lines, ("text",))

    return DataSplits(part("train"), part("validation"), part("test"), DataFacts())


def bind(data: DataSplits, smoothing: float = 0.0, **task: Any) -> tuple[Any, list[str]]:
    faults = Faults()
    problem = Classification(**task).bind(data, smoothing, faults)
    return problem, full(faults)


def test_binding_finds_labels_and_counts_them() -> None:
    data = collected(["a", "b", "b"], test=["b"])
    problem, faults = bind(data, smoothing=0.1)
    assert faults == []
    assert (problem.labels, problem.label_smoothing) == (("a", "b"), 0.1)
    assert data.facts.task["counts"]["train"] == {"a": 1, "b": 2}
    assert noted(data.facts.notes) == ["task.labels_absent split=test labels=a"]


def test_a_label_unknown_to_training_is_refused_in_every_split_at_once() -> None:
    data = collected(["a", "b"], validation=["a", "c"], test=["d"])
    problem, faults = bind(data)
    assert problem is None
    assert faults == [
        "validation.jsonl:2 task.label_unseen label=c known=a, b",
        "test.jsonl:1 task.label_unseen label=d known=a, b",
    ]


def test_one_class_alone_is_refused() -> None:
    problem, faults = bind(collected(["a", "a"]))
    assert problem is None
    assert faults == ["train.jsonl:1 task.too_few_classes only=only one class, 'a'"]


def test_automatic_weights_give_every_class_the_same_say() -> None:
    problem, _ = bind(collected(["a"] * 6 + ["b"] * 3 + ["c"]), class_weights="auto")
    weights = np.array(problem.class_weights)
    assert weights * [6, 3, 1] == pytest.approx([10 / 3] * 3)


def test_weights_are_given_by_name() -> None:
    problem, _ = bind(collected(["a", "b"]), class_weights={"b": 2, "a": 1})
    assert problem.class_weights == (1, 2)


def test_several_labels_are_weighed_against_the_texts_without_them() -> None:
    problem, _ = bind(collected([["a"], ["a"], ["a", "b"], ["a"]]), class_weights="auto")
    assert problem.class_weights == (0.25, 3.0)


def test_a_rule_is_read_with_the_labels_that_the_data_have() -> None:
    task: dict[str, Any] = {"costs": {"b": {"a": 5}}, "abstain_below": 0.7}
    task["temperature_scaling"] = True
    problem, faults = bind(collected(["a", "b"]), focal_gamma=2, **task)
    assert faults == [] and problem.focal_gamma == 2
    assert problem.rule.scales and problem.rule.abstain_below == 0.7
    assert problem.rule.costs_KK == ((0, 1), (5, 0))
    data = collected([["a"], ["b"], ["a", "b"]])
    problem, faults = bind(data, thresholds="f1")
    assert faults == [] and problem.rule.aim == "f1"
    assert "task.thresholds_shared labels=a, b fewest=20" in noted(data.facts.notes)


@pytest.mark.parametrize(
    ("cells", "task", "smoothing", "told"),
    [
        (["a", "b"], {"thresholds": "f1"}, 0, "task.thresholds_of_one_label"),
        ([["a"], ["b"]], {"abstain_below": 0.7}, 0, "task.abstain_below_unsupported"),
        (
            [["a"], ["b"]],
            {"costs": {"a": {"false_negative": 5}}},
            0,
            "task.costs_without_thresholds",
        ),
        (
            ["a", "b"],
            {"costs": {"a": {"c": 5}}},
            0,
            "task.costs_differ_from_labels unknown=['c'] labels=a, b",
        ),
        (
            ["a", "b"],
            {"abstain_below": 0.5},
            0,
            "task.abstain_below_never given=0.5 number=2 least=0.5",
        ),
        (
            [0.5, 1.5],
            {"temperature_scaling": True},
            0,
            "task.labels_required key=temperature_scaling",
        ),
        (["a", "b"], {"focal_gamma": 2}, 0.1, "task.focal_loss_with_smoothing"),
        (
            ["a", "b"],
            {"class_weights": {"a": 1, "c": 2}},
            0,
            "task.class_weights_differ_from_labels differing=['b', 'c'] labels=a, b",
        ),
        ([0.5, 1.5], {"class_weights": "auto"}, 0, "task.class_weights_unsupported"),
        (
            [0.5, 1.5],
            {},
            0.1,
            "task.label_smoothing_unsupported where=tasks with one label per text",
        ),
        (
            [["a"], ["b"]],
            {},
            0.1,
            "task.label_smoothing_unsupported where=tasks with one label per text",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    cells: list[Any], task: dict[str, Any], smoothing: float, told: str
) -> None:
    problem, faults = bind(collected(cells), smoothing, **task)
    assert problem is None
    assert faults == [told]


def test_unbalanced_classes_are_pointed_out() -> None:
    data = collected(["a"] * 31 + ["b"] * 10)
    bind(data)
    assert noted(data.facts.notes) == ["task.unbalanced label=b least=10 most=31"]
    balanced = collected(["a"] * 30 + ["b"] * 10)
    bind(balanced)
    assert balanced.facts.notes == []


# --- Values and words ---------------------------------------------------------

OUTPUTS = np.array([[2.0, -1.0, 0.5], [-300.0, 400.0, 0.0]], dtype=np.float32)


def test_single_labels_have_probabilities_that_sum_to_one() -> None:
    values = class_probabilities(OUTPUTS)
    assert values == pytest.approx(special.softmax(OUTPUTS.astype(float), axis=1))
    assert values.sum(axis=1) == pytest.approx([1, 1])


def test_several_labels_have_independent_probabilities() -> None:
    assert label_probabilities(OUTPUTS) == pytest.approx(special.expit(OUTPUTS.astype(float)))


def test_numbers_come_in_the_users_units() -> None:
    assert PROBLEMS["number"].scale.values(np.array([[0.0], [1.0], [-0.5]])).tolist() == [3, 5, 2]


def test_predictions_are_described_in_words() -> None:
    single, several = (
        PROBLEMS["single"].presenter.describe(OUTPUTS),
        PROBLEMS["multi"].presenter.describe(OUTPUTS),
    )
    assert [row["prediction"] for row in single] == ["bad", "fair"]
    assert [row["prediction"] for row in several] == [["bad", "good"], ["fair"]]
    assert single[1]["probabilities"] == {"bad": 0, "fair": 1, "good": 0}
    assert PROBLEMS["number"].presenter.describe(np.array([[1.0]])) == [{"prediction": 5.0}]


def test_targets_are_told_in_the_users_own_terms() -> None:
    assert PROBLEMS["single"].presenter.target_of(np.int64(2)) == "good"
    assert PROBLEMS["multi"].presenter.target_of(np.array([1.0, 0.0, 1.0])) == ["bad", "good"]
    assert PROBLEMS["number"].presenter.target_of(np.float32(2.5)) == 2.5


def test_scores_are_of_the_kind_of_the_problem() -> None:
    targets = {
        "single": np.array([0, 1]),
        "multi": np.array([[1, 0, 1], [0, 1, 0]]),
        "number": np.array([3.0, 5.0]),
    }
    outputs = {"single": OUTPUTS, "multi": OUTPUTS, "number": np.array([[0.0], [1.0]])}
    perfect = {"single": "accuracy", "multi": "exact_match", "number": "r2"}
    for name, metric in perfect.items():
        assert PROBLEMS[name].scorer.score(outputs[name], targets[name])[metric] == 1


# --- Baselines ----------------------------------------------------------------


def test_the_majority_is_that_of_training_scored_on_the_split() -> None:
    train, test = np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1])
    scores = PROBLEMS["single"].scorer.majority(train, test)
    assert scores["accuracy"] == 0.25
    assert scores["classes_predicted"] == 1
    assert scores["log_loss"] == pytest.approx(-(3 * np.log(1 / 4) + np.log(3 / 4)) / 4, abs=1e-6)


def test_the_majority_of_several_labels_is_taken_one_by_one() -> None:
    train = np.array([[1, 0, 1], [1, 0, 0], [1, 1, 0]], dtype=np.float32)
    assert PROBLEMS["multi"].scorer.majority(train, np.array([[1, 0, 0]] * 3))["exact_match"] == 1


@pytest.mark.parametrize("folded", [False, True])
def test_the_baseline_of_numbers_is_trainings_mean(folded: bool) -> None:
    problem = Regression(NUMBER, folded=folded)
    scores = problem.scorer.majority(np.array([1.0, 5.0, 9.0]), np.array([5.0, 7.0]))
    assert scores["mae"] == pytest.approx(1)


# --- Batches and artifacts ----------------------------------------------------


def examples(tiny: Any, problem: ClassificationProblem, labelled: bool = True) -> Any:
    from transformers import AutoTokenizer

    columns: dict[str, list[Any]] = {"text": ["good", "a bad film"], "label": ["good", "bad"]}
    if not labelled:
        del columns["label"]
    records = Records("a", columns, [1, 2], ("text",))
    return problem.codec.encode(AutoTokenizer.from_pretrained(tiny("bert")), records, 64)


def test_a_batch_holds_inputs_and_targets_in_the_order_asked(tiny: Any) -> None:
    batch = PROBLEMS["single"].codec.collate(examples(tiny, PROBLEMS["single"]), [1, 0], 0)
    assert batch["labels"].tolist() == [0, 2]
    assert batch["attention_mask"].sum(axis=1).tolist() == [5, 3]


def test_texts_without_labels_have_none_in_the_batch(tiny: Any) -> None:
    given = examples(tiny, PROBLEMS["single"], labelled=False)
    assert given.targets is None
    assert "labels" not in PROBLEMS["single"].codec.collate(given, [0], 0)


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_artifact_remembers_what_it_needs_to_predict_again(name: str) -> None:
    problem = PROBLEMS[name]
    again = Classification.restore(json.loads(json.dumps(problem.to_dict())))
    outputs = batch_of(problem, 4)[0].detach().numpy()
    assert isinstance(again, ClassificationProblem)
    assert again.labelling == problem.labelling
    assert again.presenter.describe(outputs) == problem.presenter.describe(outputs)


@pytest.fixture
def regressor() -> Any:
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    config = make_config("bert", num_labels=1, problem_type="regression")
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.classifier.bias.data.fill_(0.7)
    return model


def test_finishing_lets_the_head_speak_in_the_users_units(tiny: Any, regressor: Any) -> None:
    problem, model = PROBLEMS["number"], regressor
    texts = encode(tiny("bert"), ["good", "a bad film"])
    before = problem.scale.values(problem.objective.outputs(model, texts).detach().numpy())
    folded = problem.finish(model)
    raw = problem.objective.outputs(model, texts).detach().numpy()
    assert raw[:, 0] == pytest.approx(before, rel=1e-5)
    assert folded.scale.values(raw) == pytest.approx(before, rel=1e-5)


def test_finishing_twice_is_finishing_once(regressor: Any) -> None:
    folded = PROBLEMS["number"].finish(regressor)
    weights = copy.deepcopy(regressor.state_dict())
    assert folded.finish(regressor) is folded
    assert all(torch.equal(value, weights[name]) for name, value in regressor.state_dict().items())


def test_finishing_changes_no_classifier(tiny: Any) -> None:
    model, _, _ = build(tiny("bert"), {"type": "full"}, labels=3)
    weights = copy.deepcopy(model.state_dict())
    assert PROBLEMS["single"].finish(model) is PROBLEMS["single"]
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
