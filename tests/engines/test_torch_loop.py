"""The plain PyTorch loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from faults import fails
from support import build, make_rows
from welltuned.data.records import Records
from welltuned.engines import torch_loop
from welltuned.engines.config import TrainingConfig
from welltuned.engines.events import Listener, Step
from welltuned.engines.job import Job
from welltuned.errors import Faults
from welltuned.evaluation.predict import predict_outputs
from welltuned.models.config import ModelConfig
from welltuned.models.freezing import hash_weights
from welltuned.models.loading import read_tokenizer
from welltuned.tasks import Examples, Problem
from welltuned.tasks.classification import Labels, MultiLabel, Regression, SingleLabel
from welltuned.tasks.classification.regression import LeastSquares
from welltuned.tasks.classification.single_label import ClassCodec

ROWS = make_rows(23)
SENTIMENT = Labels("single_label", ("negative", "positive"), ("negative", "positive"))
TOPICS = Labels("multi_label", ("a", "b"), ("a", "b"), separator="|")
STARS = Labels("regression", ("score",), ("score",), mean=2.0, deviation=0.5)
FULL = {"type": "full"}


@dataclass
class Recording(Listener):
    """Everything that was heard, in order."""

    steps: list[Step] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    total: int = 0
    after_step: Callable[[Step], None] = lambda step: None

    def started(self, total_steps: int) -> None:
        self.total = total_steps

    def stepped(self, step: Step) -> None:
        self.steps.append(step)
        self.events.append(f"step {step.step}")
        self.after_step(step)

    def changed(self, step: int, what: str) -> None:
        self.events.append(f"{what} before step {step}")

    def evaluated(self, step: int, epoch: float, scores: dict[str, Any], best: bool) -> None:
        self.events.append(f"looked after step {step}{', best' if best else ''}")

    @property
    def losses(self) -> list[float]:
        return [step.loss for step in self.steps]


class FirstOutput(LeastSquares):
    """Reads the first of a head's two outputs."""

    def outputs(self, model: nn.Module, batch: Any) -> torch.Tensor:
        return super().outputs(model, batch)[:, :1]


class OneNumber(Regression):
    """A number from the first of a head's two outputs."""

    @property
    def objective(self) -> FirstOutput:
        return FirstOutput(self.labelling)


def problem_of(labels: Labels, weights: tuple[float, ...] | None, smoothing: float) -> Problem:
    if labels.problem == "multi_label":
        return MultiLabel(labels)
    if labels.problem == "regression":
        return OneNumber(labels)
    return SingleLabel(labels, weights, smoothing)


def cells(labels: Labels, rows: list[dict[str, Any]]) -> list[Any]:
    """A target for each row, of the kind that `labels` reads."""
    if labels.problem == "multi_label":
        return [("a", "b", "a|b", "")[i % 4] for i in range(len(rows))]
    if labels.problem == "regression":
        return [len(row["text"].split()) / 4 for row in rows]
    return [row["label"] for row in rows]


def make_job(
    folder: str,
    strategy: dict[str, Any] = FULL,
    labels: Labels = SENTIMENT,
    class_weights: tuple[float, ...] | None = None,
    rows: list[dict[str, Any]] = ROWS,
    validate: Callable[[], dict[str, Any]] = lambda: {"macro_f1": 0.5, "r2": 0.5},
    **training: Any,
) -> Job:
    """A training of a tiny model, ready to start."""
    values: dict[str, Any] = {"learning_rate": 1e-3, "num_train_epochs": 2}
    values |= {"per_device_train_batch_size": 8}
    values |= {"warmup_ratio": 0.0, "weight_decay": 0.01, "seed": 0, **training}
    if "max_steps" in training:
        values["num_train_epochs"] = "auto"
    values.setdefault(
        "metric_for_best_model", "r2" if labels.problem == "regression" else "macro_f1"
    )
    settings = TrainingConfig.model_validate(values).resolved()
    model, anatomy, chosen = build(folder, strategy, seed=settings.seed)
    tokenizer = read_tokenizer(ModelConfig(name=folder))
    problem = problem_of(labels, class_weights, settings.label_smoothing_factor)
    columns = {"text": [row["text"] for row in rows], "label": cells(labels, rows)}
    records = Records("rows", columns, list(range(1, len(rows) + 1)), ("text",))
    return Job(
        model=model,
        anatomy=anatomy,
        problem=problem,
        strategy=chosen,
        groups=chosen.parameter_groups(model, anatomy),
        training=settings,
        examples=problem.codec.encode(tokenizer, records, 64),
        pad_id=tokenizer.pad_token_id,
        precision="fp32",
        validate=validate,
        keep=lambda step, scores: None,
        listener=Recording(),
    )


def heard(job: Job) -> Recording:
    assert isinstance(job.listener, Recording)
    return job.listener


def weights(job: Job) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in job.model.named_parameters()}


@pytest.fixture(scope="module")
def still(tiny: Any) -> str:
    """A model without dropout: what it computes depends on nothing but its input."""
    return tiny("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


@pytest.fixture(scope="module")
def noisy(tiny: Any) -> str:
    return tiny("bert", hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5)


# --- One division per optimizer step -------------------------------------------


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "label smoothing": {"label_smoothing_factor": 0.2},
    "class weights": {"class_weights": (0.25, 4.0)},
    "both": {"class_weights": (0.25, 4.0), "label_smoothing_factor": 0.2},
    "several labels": {"labels": TOPICS},
    "numbers": {"labels": STARS},
    "by tokens": {"max_tokens_per_step": 90},
    "in any order": {"group_by_length": False},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_eight_times_one_is_one_times_eight(variant: str, still: str) -> None:
    """Losses and final weights, though lengths and the last step's size are unequal (S1)."""

    def trained(size: int, accumulation: int) -> tuple[list[float], dict[str, torch.Tensor]]:
        job = make_job(
            still,
            **VARIANTS[variant],
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            adam_epsilon=1e-3,  # so that rounding noise in a gradient of zero is no full step
        )
        torch_loop.fit_with_loop(job)
        return heard(job).losses, weights(job)

    losses, whole = trained(8, 1)
    for size, accumulation in ((1, 8), (4, 2)):
        again, parts = trained(size, accumulation)
        assert again == pytest.approx(losses, abs=1e-6)
        for name in whole:
            torch.testing.assert_close(parts[name], whole[name], atol=1e-6, rtol=0)


def test_the_loss_that_is_told_is_the_mean_over_the_steps_examples(still: str) -> None:
    """Also where the class weights make examples count differently."""
    job = make_job(still, class_weights=(0.25, 4.0), max_steps=1)
    [micro_batches] = job.batches.steps(0)[:1]
    batch = job.problem.codec.collate(job.examples, micro_batches[0].tolist(), job.pad_id)
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    expected = nn.functional.cross_entropy(
        job.problem.objective.outputs(job.model, tensors),
        tensors["labels"],
        torch.tensor([0.25, 4.0]),
    )
    torch_loop.fit_with_loop(job)
    assert heard(job).losses == [pytest.approx(expected.item(), abs=1e-6)]


# --- What stops a run ----------------------------------------------------------


@pytest.fixture
def poisoned(still: str) -> Job:
    """One word, in one row, is no number: the batch that holds the row has no finite loss."""
    rows = [{**row, "text": row["text"].replace("never", "not")} for row in ROWS]
    rows[5] = {**rows[5], "text": rows[5]["text"] + " never"}
    job = make_job(still, {"type": "partial", "num_blocks": 2}, rows=rows, weight_decay=0.0)
    word = read_tokenizer(ModelConfig(name=still)).convert_tokens_to_ids("never")
    with torch.no_grad():
        model: Any = job.model
        model.get_input_embeddings().weight[word] = math.nan
    return job


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_rows(poisoned: Job) -> None:
    before: list[dict[str, str]] = [hash_weights(poisoned.model.named_parameters())]
    listener = heard(poisoned)
    listener.after_step = lambda step: before.append(
        hash_weights(poisoned.model.named_parameters())
    )
    with fails("training.not_finite", quantity="loss") as failure:
        torch_loop.fit_with_loop(poisoned)
    steps = poisoned.batches.steps(0)
    bad = next(number for number, step in enumerate(steps) if 5 in step[0])
    named = failure.value.faults[0].values["rows"]
    assert "rows:6" in named and all(f"rows:{index + 1}" in named for index in steps[bad][0])
    assert len(listener.steps) == bad
    assert hash_weights(poisoned.model.named_parameters()) == before[-1]


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_step(still: str) -> None:
    job = make_job(still, gradient_accumulation_steps=2)
    before = weights(job)
    name, parameter = next(iter(job.model.named_parameters()))
    parameter.register_hook(lambda gradient: gradient * math.inf)
    with fails("training.not_finite", quantity="gradient") as failure:
        torch_loop.fit_with_loop(job)
    named = failure.value.faults[0].values["rows"]
    assert "rows:" in named and ", …" in named, name
    assert heard(job).steps == []
    assert all(torch.equal(before[name], after) for name, after in weights(job).items())


def test_a_trainable_weight_without_a_gradient_stops_the_run(still: str) -> None:
    """It is wired to nothing (pitfall F3)."""
    job = make_job(still)
    job.model.register_parameter("idle", nn.Parameter(torch.ones(2)))
    with fails("training.weights_without_gradient", number=1, first="idle"):
        torch_loop.fit_with_loop(job)
    assert heard(job).steps == []


# --- Repeatable ----------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["full", "gradual"])
def test_equal_seeds_give_equal_bits(strategy: str, noisy: str) -> None:
    def trained(seed: int) -> tuple[list[float], dict[str, str]]:
        job = make_job(noisy, {"type": strategy}, seed=seed)
        torch_loop.fit_with_loop(job)
        return heard(job).losses, hash_weights(job.model.named_parameters())

    first = trained(1)
    torch.rand(7)  # what was drawn before must not matter
    assert trained(1) == first
    losses, _ = trained(2)
    assert losses != first[0]


def test_the_seed_of_the_loop_fixes_dropout(noisy: str) -> None:
    """The same model and the same order, but another state of the global generator."""
    runs = []
    for state in (1, 2):
        job = make_job(noisy, max_steps=2)
        torch.manual_seed(state)
        torch_loop.fit_with_loop(job)
        runs.append(heard(job).losses)
    assert runs[0] == runs[1]


# --- Frozen modules ------------------------------------------------------------


def dropout_modes(job: Job) -> Iterator[tuple[int, str, set[bool]]]:
    """(depth, name, modes seen while training) of each dropout module that ran."""
    seen: dict[str, set[bool]] = {}
    for name, module in job.model.named_modules():
        if isinstance(module, nn.Dropout):
            seen[name] = set()
            module.register_forward_hook(
                lambda module, inputs, output, name=name: seen[name].add(module.training)
            )
    torch_loop.fit_with_loop(job)
    for name, modes in seen.items():
        if modes:
            yield job.anatomy.depth(name) if "." in name else 0, name, modes


def test_the_dropout_of_frozen_modules_is_off(noisy: str) -> None:
    job = make_job(noisy, {"type": "partial", "num_blocks": 2})
    modes = list(dropout_modes(job))
    assert {depth for depth, _, _ in modes} >= {1, 2, 3, 4, 5}
    for depth, name, found in modes:
        assert found == {depth <= 2}, name


def test_validation_leaves_the_modes_as_they_were(noisy: str) -> None:
    """A model left in eval mode would train on without dropout (pitfall F5)."""
    job = make_job(noisy, eval_strategy="steps", eval_steps=1)
    in_eval: list[bool] = []

    def validate() -> dict[str, Any]:
        predict_outputs(job.model, job.problem, job.examples, job.pad_id, 8)
        in_eval.append(all(module.training for module in job.model.modules()))
        return {"macro_f1": 0.5}

    job.validate = validate
    torch_loop.fit_with_loop(job)
    assert in_eval == [True] * len(heard(job).steps)


def test_an_unfrozen_block_has_its_dropout_again(noisy: str) -> None:
    strategy = {"type": "gradual", "unit": "epoch", "schedule": [1]}
    job = make_job(noisy, strategy)
    seen = [(depth, modes) for depth, _, modes in dropout_modes(job)]
    assert {True, False} in [modes for depth, modes in seen if depth == 1]
    assert all(modes == {False} for depth, modes in seen if depth >= 2)
    assert "unfroze block 3 before step 4" in heard(job).events


def test_what_is_not_yet_unfrozen_stays_bit_for_bit(still: str) -> None:
    job = make_job(still, {"type": "gradual", "unit": "epoch", "schedule": [1]})
    before = hash_weights(job.model.named_parameters())
    moved: list[set[int]] = []

    def note(step: Step) -> None:
        now = hash_weights(job.model.named_parameters())
        changed = [name for name in now if now[name] != before[name]]
        moved.append({job.anatomy.depth(name) for name in changed})

    heard(job).after_step = note
    torch_loop.fit_with_loop(job)
    assert moved == [{0}, {0}, {0}, {0, 1}, {0, 1}, {0, 1}]


# --- How long ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("training", "steps", "epochs"),
    [
        ({"num_train_epochs": 2}, 6, 2.0),
        ({"num_train_epochs": 0.5}, 2, 2 / 3),
        ({"num_train_epochs": 1.5}, 5, 1 + 2 / 3),
        ({"num_train_epochs": 0.01}, 1, 1 / 3),
        ({"num_train_epochs": 3, "gradient_accumulation_steps": 2}, 6, 3.0),
        ({"max_steps": 4}, 4, 4 / 3),
        ({"max_steps": 3}, 3, 1.0),
        ({"max_steps": 1}, 1, 1 / 3),
    ],
)
def test_training_lasts_as_long_as_was_asked(
    training: dict[str, Any], steps: int, epochs: float, still: str
) -> None:
    """23 examples are three steps of 8."""
    job = make_job(still, {"type": "partial", "num_blocks": 0}, **training)
    outcome = torch_loop.fit_with_loop(job)
    assert outcome.steps == heard(job).total == len(heard(job).steps) == steps
    assert outcome.epochs == pytest.approx(epochs)
    assert [step.step for step in heard(job).steps] == list(range(1, steps + 1))
    assert all(step.total == steps for step in heard(job).steps)


def test_every_example_is_read_once_an_epoch(still: str) -> None:
    job = make_job(still, {"type": "partial", "num_blocks": 0})
    read: list[list[int]] = []

    class SpiedCodec(ClassCodec):
        def collate(self, examples: Examples, indices: Any, pad_id: int) -> Any:
            read.append(list(indices))
            return super().collate(examples, indices, pad_id)

    class Spied(SingleLabel):
        @property
        def codec(self) -> ClassCodec:
            return SpiedCodec(self.labelling)

    job.problem = Spied(SENTIMENT)
    outcome = torch_loop.fit_with_loop(job)
    first, second = ([index for step in part for index in step] for part in (read[:3], read[3:]))
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    assert outcome.examples == 46
    assert outcome.tokens == 2 * int(job.examples.lengths.sum())


@pytest.mark.parametrize("accumulation", [1, 2])
def test_no_step_holds_more_tokens_than_allowed(accumulation: int, still: str) -> None:
    job = make_job(
        still,
        {"type": "partial", "num_blocks": 0},
        max_tokens_per_step=50,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=1,
    )
    positions = [0]
    job.model.register_forward_pre_hook(
        lambda module, args, kwargs: positions.append(
            positions.pop() + kwargs["input_ids"].numel()
        ),
        with_kwargs=True,
    )
    heard(job).after_step = lambda step: positions.append(0)
    torch_loop.fit_with_loop(job)
    assert 30 < max(positions) <= 50
    assert sum(step.examples for step in heard(job).steps) == 23


def test_the_schedule_rises_and_falls_to_nothing_over_the_steps_planned(still: str) -> None:
    """What is told is the rate that was asked for, not the head's multiple of it."""
    strategy = {"type": "full", "head_learning_rate_scale": 10}
    job = make_job(still, strategy, num_train_epochs=2, warmup_ratio=0.3, learning_rate=6e-3)
    torch_loop.fit_with_loop(job)
    rates = [step.learning_rate for step in heard(job).steps]
    assert rates == pytest.approx([2e-3, 4e-3, 6e-3, 4.5e-3, 3e-3, 1.5e-3])


# --- Choosing by validation ----------------------------------------------------


def scripted(*scores: float) -> Callable[[], dict[str, Any]]:
    waiting = iter(scores)
    return lambda: {"macro_f1": next(waiting)}


def test_training_stops_when_the_score_gets_no_better(still: str) -> None:
    kept: list[int] = []
    job = make_job(
        still,
        {"type": "partial", "num_blocks": 0},
        validate=scripted(0.3, 0.5, 0.5, 0.4, 0.9),
        num_train_epochs=8,
        early_stopping_patience=2,
    )
    job.keep = lambda step, scores: kept.append(step)
    outcome = torch_loop.fit_with_loop(job)
    assert outcome.stopped_early
    assert (outcome.steps, outcome.best_step) == (12, 6)
    assert kept == [3, 6]
    assert [event for event in heard(job).events if "looked" in event] == [
        "looked after step 3, best",
        "looked after step 6, best",
        "looked after step 9",
        "looked after step 12",
    ]


def test_a_better_score_in_time_keeps_training_going(still: str) -> None:
    job = make_job(
        still,
        {"type": "partial", "num_blocks": 0},
        validate=scripted(0.3, 0.2, 0.4, 0.1),
        num_train_epochs=4,
        early_stopping_patience=2,
    )
    outcome = torch_loop.fit_with_loop(job)
    assert not outcome.stopped_early
    assert (outcome.steps, outcome.best_step) == (12, 9)


@pytest.mark.parametrize(
    ("training", "looks"),
    [
        ({"eval_strategy": "no"}, []),
        ({"eval_strategy": "epoch"}, [3, 6]),
        ({"eval_strategy": "steps", "eval_steps": 2}, [2, 4, 6]),
        ({"eval_strategy": "steps", "eval_steps": 4}, [4, 6]),
        ({"eval_strategy": "epoch", "max_steps": 4}, [3, 4]),
    ],
)
def test_validation_is_looked_at_when_asked(
    training: dict[str, Any], looks: list[int], still: str
) -> None:
    job = make_job(still, {"type": "partial", "num_blocks": 0}, **training)
    torch_loop.fit_with_loop(job)
    found = [event.split(",")[0] for event in heard(job).events if "looked" in event]
    assert found == [f"looked after step {step}" for step in looks]


# --- What is measured ----------------------------------------------------------


def test_cost_counts_real_tokens_and_padding(still: str) -> None:
    job = make_job(still, num_train_epochs=1, group_by_length=False)
    lengths = job.examples.lengths
    outcome = torch_loop.fit_with_loop(job)
    padded = sum(int(lengths[s[0]].max()) * len(s[0]) for s in job.batches.steps(0))
    assert (outcome.tokens, outcome.positions) == (int(lengths.sum()), padded)
    assert outcome.seconds == pytest.approx(sum(step.seconds for step in heard(job).steps))
    assert outcome.flops > 2 * sum(p.numel() for p in job.model.parameters() if p.ndim > 1)


def test_the_gradient_norm_is_told_before_clipping(still: str) -> None:
    free = make_job(still, max_steps=1, max_grad_norm=0)
    clipped = make_job(still, max_steps=1, max_grad_norm=1e-3)
    torch_loop.fit_with_loop(free)
    torch_loop.fit_with_loop(clipped)
    norms = [heard(job).steps[0].gradient_norm for job in (free, clipped)]
    assert norms[0] == pytest.approx(norms[1])
    assert norms[0] > 1e-2


def test_bf16_computes_in_bf16_and_keeps_float32_weights(still: str) -> None:
    job = make_job(still, max_steps=1)
    job.precision = "bf16"
    seen: set[torch.dtype] = set()
    for module in job.model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    torch_loop.fit_with_loop(job)
    assert seen == {torch.bfloat16}
    assert {value.dtype for value in weights(job).values()} == {torch.float32}
    assert np.isfinite(heard(job).losses).all()


def test_targets_of_the_examples_are_read_without_faults(still: str) -> None:
    """The helper above gives what it says."""
    for labels in (SENTIMENT, TOPICS, STARS):
        job, faults = make_job(still, labels=labels), Faults()
        job.problem.codec.read_targets(job.examples.records, faults)
        assert len(faults) == 0
        assert job.examples.targets is not None and len(job.examples.targets) == 23
