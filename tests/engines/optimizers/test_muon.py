"""Muon for the matrices of blocks, AdamW for everything else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from optimizing import optimizer_training
from support import job_for
from welltuned.engines.optimizer import build_optimizer, build_schedule
from welltuned.strategies import ParameterGroup


def groups_of(*shapes: tuple[tuple[int, ...], bool]) -> list[ParameterGroup]:
    torch.manual_seed(0)
    return [
        ParameterGroup(str(i), [nn.Parameter(torch.randn(shape))], decays=False, in_blocks=inside)
        for i, (shape, inside) in enumerate(shapes)
    ]


def stepped(groups: list[ParameterGroup], optim: str, times: int = 3) -> list[torch.Tensor]:
    optimizer = build_optimizer(groups, optimizer_training(optim=optim, weight_decay=0.0))
    for i in range(times):
        for group in groups:
            for weight in group.parameters:
                weight.grad = torch.full_like(weight, 0.1 + i) * weight.detach().sign()
        optimizer.step()
    return [weight.detach() for group in groups for weight in group.parameters]


def test_all_but_the_matrices_of_blocks_take_adamws_steps() -> None:
    shapes = (((8, 6), True), ((6,), True), ((8, 6), False), ((2, 3, 4), True))
    muon, adamw = (stepped(groups_of(*shapes), optim) for optim in ("muon", "adamw"))
    for found, expected in zip(muon[1:], adamw[1:], strict=True):
        torch.testing.assert_close(found, expected)
    assert not torch.allclose(muon[0], adamw[0])


def test_a_matrix_moves_as_far_as_adamw_would_move_it_and_in_all_directions() -> None:
    """The update is orthogonal, and its root mean square 0.2 of the learning rate."""
    groups = groups_of(((32, 32), True))
    (before,) = (weight.detach().clone() for weight in groups[0].parameters)
    (after,) = stepped(groups, "muon", times=1)
    update = (before - after) / 0.1
    assert 0.15 < float(update.square().mean().sqrt()) < 0.25
    values = torch.linalg.svdvals(update / 32**0.5 / 0.2)
    assert float(values.max()) < 1.4


def test_a_group_of_both_kinds_is_split_and_one_schedule_moves_both() -> None:
    mixed = ParameterGroup("block", [nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.ones(4))])
    mixed.in_blocks = True
    asked = optimizer_training(optim="muon", lr_scheduler_type="linear")
    optimizer = build_optimizer([mixed], asked)
    schedule = build_schedule(optimizer, 4, asked)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1]
    optimizer.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.075] * 2)


def test_where_no_matrix_trains_it_is_adamw_alone() -> None:
    shapes = (((6,), True), ((8, 6), False))
    for found, expected in zip(
        stepped(groups_of(*shapes), "muon"), stepped(groups_of(*shapes), "adamw"), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_of_a_real_model_embeddings_and_head_are_adamws(tiny: Any, few: str) -> None:
    job = job_for(tiny("bert"), few, {"type": "full"}, training={"optim": "muon"})
    optimizer = build_optimizer(job.groups, job.training)
    ours = {
        id(w) for group in optimizer.param_groups if "momentum" in group for w in group["params"]
    }
    names = {name for name, weight in job.model.named_parameters() if id(weight) in ours}
    assert len(names) == 4 * 6
    assert all(".layer." in name and name.endswith("weight") for name in names)
