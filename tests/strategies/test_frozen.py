"""What is frozen stays frozen, and computes the same thing in every step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from support import build, encode, job_for, make_rows
from welltuned.engines import torch_loop
from welltuned.engines.events import Listener, Step
from welltuned.models.freezing import set_training_modes

FREEZING: dict[str, dict[str, Any]] = {
    "partial": {"type": "partial", "num_blocks": 2},
    "head": {"type": "partial", "num_blocks": 0},
    "gradual": {"type": "gradual", "until": 0.5, "num_blocks": 2},
    "lora": {"type": "lora", "r": 4},
    "prompt": {"type": "prompt", "num_virtual_tokens": 5},
    "prefix": {"type": "prefix", "num_virtual_tokens": 5},
    "adapter": {"type": "adapter", "reduction_factor": 8},
}
TEXTS = [row["text"] for row in make_rows(8, seed=5)]
each = pytest.mark.parametrize("strategy", FREEZING.values(), ids=FREEZING)


def one_epoch(tiny: Any, sentiment: str, strategy: dict[str, Any], **parts: Any) -> Any:
    training = {"num_train_epochs": 1, "eval_strategy": "no", "weight_decay": 0.1}
    return job_for(tiny("bert"), sentiment, strategy, training=training, **parts)


@each
def test_frozen_weights_and_buffers_keep_their_bits(
    strategy: dict[str, Any], tiny: Any, sentiment: str
) -> None:
    """(F1) All else moves."""
    job = one_epoch(tiny, sentiment, strategy)
    trained = {id(parameter) for group in job.groups for parameter in group.parameters}
    before = {name: tensor.clone() for name, tensor in state_of(job.model).items()}
    torch_loop.fit_with_loop(job)
    for name, tensor in state_of(job.model).items():
        same = torch.equal(tensor, before[name])
        assert same == (id(tensor) not in trained), name


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@each
def test_frozen_modules_are_in_eval_mode_whenever_they_run(
    strategy: dict[str, Any], tiny: Any, sentiment: str
) -> None:
    """(F2) And those with a weight that trains are not."""
    job = one_epoch(tiny, sentiment, strategy)
    seen: list[tuple[bool, bool]] = []

    def note(module: nn.Module, inputs: Any) -> None:
        trains = any(parameter.requires_grad for parameter in module.parameters())
        seen.append((module.training, trains))

    for module in job.model.modules():
        if any(True for _ in module.parameters()):
            module.register_forward_pre_hook(note)
    torch_loop.fit_with_loop(job)
    assert {trains for _, trains in seen} == {True, False}
    assert all(training == trains for training, trains in seen)


def test_a_frozen_trunk_has_no_dropout(tiny: Any) -> None:
    """(F2) `model.train()` alone would give it one: two forwards differ."""
    model, _, _ = build(tiny("bert"), {"type": "partial", "num_blocks": 0})
    batch = encode(tiny("bert"), TEXTS)
    model.train()
    assert not torch.equal(*twice(model.base_model, batch))
    set_training_modes(model)
    assert torch.equal(*twice(model.base_model, batch))


def test_a_training_block_keeps_its_dropout(tiny: Any) -> None:
    """(F2) The one above a frozen one too."""
    model, _, _ = build(tiny("bert"), {"type": "partial", "num_blocks": 1})
    set_training_modes(model.eval())
    assert not torch.equal(*twice(model.base_model, encode(tiny("bert"), TEXTS)))


def twice(trunk: nn.Module, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return trunk(**batch).last_hidden_state, trunk(**batch).last_hidden_state


def test_nothing_below_the_lowest_trainable_block_is_part_of_the_graph(tiny: Any) -> None:
    """(F3) So neither its time nor its memory is spent in the backward pass."""
    model, anatomy, _ = build(tiny("bert"), {"type": "partial", "num_blocks": 2})
    graph: dict[str, bool] = {}
    for name in [anatomy.word_embeddings, *(block.name for block in anatomy.blocks)]:
        module = model.get_submodule(name)
        module.register_forward_hook(
            lambda _m, _i, output, name=name: graph.update({name: first(output).requires_grad})
        )
    model(**encode(tiny("bert"), TEXTS)).logits.sum().backward()
    assert list(graph.values()) == [False, False, False, True, True]
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (anatomy.depth(name) > 2), name


def first(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def test_adamw_moves_a_weight_whose_gradient_is_zero_and_not_one_that_has_none() -> None:
    """(F4) Why gradients are dropped and not zeroed."""
    dropped, zeroed = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([dropped, zeroed], lr=0.1, weight_decay=0.1)
    (dropped.sum() + zeroed.sum()).backward()
    optimizer.zero_grad(set_to_none=True)
    zeroed.grad = torch.zeros(3)
    optimizer.step()
    assert torch.equal(dropped, torch.ones(3))
    assert not torch.equal(zeroed, torch.ones(3))


def test_weights_that_train_later_do_not_move_before(tiny: Any, sentiment: str) -> None:
    """(F4) Though the optimizer has them from the start, with weight decay."""
    watcher = MovesAtStep()
    strategy = {"type": "gradual", "schedule": [0.5], "layer_decay": 1.0}
    job = one_epoch(tiny, sentiment, strategy, listener=watcher)
    group = next(group for group in job.groups if group.name == "block 3")
    watcher.watch(group.parameters)
    torch_loop.fit_with_loop(job)
    assert watcher.moved == [step > 6 for step in range(1, 13)]


def test_between_steps_no_gradient_is_left(tiny: Any, sentiment: str) -> None:
    """(F4) Neither as zeros."""
    watcher = MovesAtStep()
    job = one_epoch(tiny, sentiment, FREEZING["partial"], listener=watcher)
    watcher.watch(list(job.model.parameters()))
    torch_loop.fit_with_loop(job)
    assert watcher.without_gradients == [True] * 12


class MovesAtStep(Listener):
    """Notes after each step whether the watched weights moved and whether gradients are left."""

    def watch(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.last = [parameter.detach().clone() for parameter in parameters]
        self.moved: list[bool] = []
        self.without_gradients: list[bool] = []

    def stepped(self, step: Step) -> None:
        now = [parameter.detach().clone() for parameter in self.parameters]
        changed = {not torch.equal(a, b) for a, b in zip(now, self.last, strict=True)}
        self.moved.append(changed == {True})
        self.without_gradients.append(all(p.grad is None for p in self.parameters))
        self.last = now
