"""Gradual unfreezing: in the right order, at the right time, and without losing what Adam knows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from support import build, job_for, make_config, strategy_of
from welltuned.engines import loop_state, torch_loop
from welltuned.engines.config import ResolvedTraining
from welltuned.engines.events import Listener, Step
from welltuned.engines.optimizer import build_optimizer, build_schedule
from welltuned.models.anatomy import Anatomy, examine_anatomy
from welltuned.models.skeleton_run import SKELETON_ATTENTION
from welltuned.strategies import Progress

EPOCHS = {"type": "gradual", "unit": "epoch", "num_blocks": "all", "embeddings": True}


def trainable_regions(model: nn.Module, anatomy: Anatomy) -> set[str]:
    return {
        anatomy.region(anatomy.depth(name))
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def at(epoch: float, of: float = 10.0) -> Progress:
    return Progress(epoch / of, epoch)


def test_the_head_trains_first_then_the_blocks_from_the_top_and_the_embeddings_last(
    tiny: Any,
) -> None:
    """(G1) One more at each point of the schedule."""
    model, anatomy, strategy = build(tiny("bert"), EPOCHS)
    order = ["head", "block 3", "block 2", "block 1", "block 0", "embeddings"]
    for epoch in range(6):
        told = strategy.advance(model, anatomy, at(epoch))
        assert trainable_regions(model, anatomy) == set(order[: epoch + 1])
        assert told == (f"unfroze {order[epoch]}" if epoch else None)


def test_between_two_points_nothing_changes(tiny: Any) -> None:
    """(G1) And nothing is told."""
    model, anatomy, strategy = build(tiny("bert"), EPOCHS)
    assert strategy.advance(model, anatomy, at(1)) == "unfroze block 3"
    assert strategy.advance(model, anatomy, at(1.99)) is None
    assert trainable_regions(model, anatomy) == {"head", "block 3"}


def test_the_pooler_belongs_to_the_head(tiny: Any) -> None:
    """(G1) It trains from the first step."""
    model, _, _ = build(tiny("bert"), EPOCHS, pooling="model")
    trains = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trains == {
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    }


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.25, 0.26, 0.5, 0.99])
def test_a_resumed_run_is_in_the_phase_of_one_that_never_stopped(
    fraction: float, tiny: Any
) -> None:
    """(G4) The phase is a function of progress, and of nothing before it."""
    config = {"type": "gradual", "schedule": [0.1, 0.25, 0.5]}
    fresh, anatomy, strategy = build(tiny("bert"), config)
    steady, _, _ = build(tiny("bert"), config)
    for hundredth in range(int(fraction * 100) + 1):
        strategy.advance(steady, anatomy, Progress(hundredth / 100, 0.0))
    strategy.advance(fresh, anatomy, Progress(fraction, 0.0))
    assert trainable_regions(fresh, anatomy) == trainable_regions(steady, anatomy)
    wanted = 1 + sum(point <= fraction for point in (0.1, 0.25, 0.5))
    assert len(trainable_regions(fresh, anatomy)) == wanted


def test_all_that_will_train_is_in_the_optimizer_from_the_start(tiny: Any) -> None:
    """(G2) Frozen, and without a state yet."""
    model, anatomy, strategy = build(tiny("bert"), EPOCHS)
    groups = strategy.parameter_groups(model, anatomy)
    optimizer = optimizer_of(groups)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(parameter) for parameter in model.parameters()}
    assert not optimizer.state


def test_what_never_trains_is_not_in_the_optimizer(tiny: Any) -> None:
    """(G2) Here the lower two blocks and the embeddings."""
    model, anatomy, strategy = build(tiny("bert"), {"type": "gradual", "num_blocks": 2})
    names = {group.name for group in strategy.parameter_groups(model, anatomy)}
    assert {name.removesuffix(", no decay") for name in names} == {"head", "block 3", "block 2"}


def test_a_group_added_after_the_schedule_has_no_rate_of_its_own() -> None:
    """(G3) Why no group is ever added later: torch's schedule knows only the first ones."""
    early, late = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = AdamW([early], lr=1.0)
    schedule = LambdaLR(optimizer, lambda step: 0.5)
    optimizer.add_param_group({"params": [late], "lr": 1.0})
    assert len(schedule.base_lrs) == 1 < len(optimizer.param_groups)


def test_every_group_has_its_rate_in_the_schedule_in_every_phase(tiny: Any) -> None:
    """(G3) And all fall by the same factor."""
    model, anatomy, strategy = build(tiny("bert"), EPOCHS)
    groups = strategy.parameter_groups(model, anatomy)
    optimizer = optimizer_of(groups)
    schedule = build_schedule(optimizer, 10, training())
    for epoch in range(6):
        strategy.advance(model, anatomy, at(epoch))
        assert len(schedule.base_lrs) == len(optimizer.param_groups) == len(groups)
        factors = {
            round(rate / (0.1 * group.learning_rate_scale), 9)
            for rate, group in zip(schedule.get_last_lr(), groups, strict=True)
        }
        assert factors == {round(1 - epoch / 10, 9)}
        optimizer.step()
        schedule.step()


def training() -> ResolvedTraining:
    return ResolvedTraining(learning_rate=0.1, metric_for_best_model="macro_f1")


def optimizer_of(groups: Any) -> Optimizer:
    return build_optimizer(groups, training())


class Moments(Listener):
    """Copies Adam's state after each step, and again when what trains has changed."""

    def __init__(self) -> None:
        self.optimizer: Optimizer | None = None
        self.states: list[dict[nn.Parameter, dict[str, torch.Tensor]]] = []
        self.changes: dict[int, dict[nn.Parameter, dict[str, torch.Tensor]]] = {}
        self.gradients: list[dict[nn.Parameter, torch.Tensor]] = []

    def follow(self, optimizer: Optimizer) -> Optimizer:
        self.optimizer = optimizer
        optimizer.register_step_pre_hook(self._keep_gradients)
        return optimizer

    def _keep_gradients(self, optimizer: Any, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.gradients.append({p: p.grad.clone() for p in parameters if p.grad is not None})

    def copy(self) -> dict[Any, dict[str, torch.Tensor]]:
        assert self.optimizer is not None
        return {
            parameter: {name: value.clone() for name, value in state.items()}
            for parameter, state in self.optimizer.state.items()
        }

    def changed(self, step: int, what: str) -> None:
        self.changes[step] = self.copy()

    def stepped(self, step: Step) -> None:
        self.states.append(self.copy())


@pytest.fixture
def followed(tiny: Any, sentiment: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Moments]:
    """A run of twelve steps that unfreezes one block before step 5 and one before step 9."""
    moments = Moments()
    monkeypatch.setattr(
        loop_state,
        "build_optimizer",
        lambda groups, training: moments.follow(build_optimizer(groups, training)),
    )
    job = job_for(
        tiny("bert"),
        sentiment,
        {"type": "gradual", "schedule": [4 / 12, 8 / 12]},
        moments,
        training={"num_train_epochs": 1, "eval_strategy": "no", "max_grad_norm": 0},
    )
    torch_loop.fit_with_loop(job)
    return job, moments


def members(job: Any, region: str) -> list[nn.Parameter]:
    return [p for group in job.groups if group.name.startswith(region) for p in group.parameters]


def test_kept_moments_survive_unfreezing_bit_for_bit(followed: tuple[Any, Moments]) -> None:
    """(G4) No optimizer is made anew, as one library did."""
    job, moments = followed
    assert list(moments.changes) == [5, 9]
    for step, state in moments.changes.items():
        before = moments.states[step - 2]
        assert state.keys() == before.keys() != set()
        for parameter, values in state.items():
            assert all(torch.equal(values[name], before[parameter][name]) for name in values)
    assert set(moments.changes[9]) == {*members(job, "head"), *members(job, "block 3")}


def test_the_step_after_unfreezing_goes_on_from_the_kept_moments(
    followed: tuple[Any, Moments],
) -> None:
    """(G4) By Adam's own formulas, from the state before."""
    job, moments = followed
    for parameter in members(job, "head"):
        before, after = moments.states[3][parameter], moments.states[4][parameter]
        gradient = moments.gradients[4][parameter]
        mean = 0.9 * before["exp_avg"] + 0.1 * gradient
        square = 0.999 * before["exp_avg_sq"] + 0.001 * gradient.square()
        torch.testing.assert_close(after["exp_avg"], mean)
        torch.testing.assert_close(after["exp_avg_sq"], square)


def test_what_is_freshly_unfrozen_counts_its_steps_from_its_first_gradient(
    followed: tuple[Any, Moments],
) -> None:
    """(G2, G4) So its bias correction is that of a first step; the others count on."""
    job, moments = followed
    starts = {"head": 1, "block 3": 5, "block 2": 9}
    for region, start in starts.items():
        for step in range(1, 13):
            for parameter in members(job, region):
                state = moments.states[step - 1].get(parameter)
                assert (state is not None) == (step >= start)
                assert state is None or int(state["step"]) == step - start + 1


def test_rates_fall_geometrically_from_the_top(tiny: Any) -> None:
    """(G5) Block by block times `layer_decay`; the head and the top block at the full rate."""
    model, anatomy, strategy = build(tiny("bert"), {**EPOCHS, "layer_decay": 0.5})
    scales = {
        group.name.removesuffix(", no decay"): group.learning_rate_scale
        for group in strategy.parameter_groups(model, anatomy)
    }
    assert scales == {
        "head": 1.0,
        "block 3": 1.0,
        "block 2": 0.5,
        "block 1": 0.25,
        "block 0": 0.125,
        "embeddings": 0.0625,
    }


@pytest.mark.parametrize("kind", ["full", "gradual"])
def test_tied_weights_are_in_one_group_once(kind: str) -> None:
    """(G5) GPT-2's output layer is its word embeddings."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(
            make_config("gpt2"), attn_implementation=SKELETON_ATTENTION
        )
    skeleton.tie_weights()
    anatomy = examine_anatomy(skeleton)
    strategy = strategy_of({"type": kind, **(EPOCHS if kind == "gradual" else {})})
    assert skeleton.lm_head.weight is skeleton.transformer.wte.weight
    parameters = [
        id(p) for group in strategy.parameter_groups(skeleton, anatomy) for p in group.parameters
    ]
    assert len(parameters) == len(set(parameters)) == len(list(skeleton.parameters()))
