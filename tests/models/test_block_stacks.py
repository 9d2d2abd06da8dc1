"""Stacks of blocks are told by what is called, and not by name."""

from __future__ import annotations

from torch import nn

from welltuned.models.block_stacks import Stack, find_stacks, in_order, within


def stack(name: str, number: int) -> Stack:
    return Stack(name, nn.ModuleList(nn.Linear(1, 1) for _ in range(number)))


def test_the_longest_lists_of_like_modules_are_found_and_none_inside_another() -> None:
    trunk = nn.Module()
    trunk.experts = nn.ModuleList(nn.Linear(1, 1) for _ in range(2))
    trunk.mixed = nn.ModuleList([nn.Linear(1, 1), *(nn.ReLU() for _ in range(9))])
    trunk.above = nn.ModuleList(nn.ModuleList(nn.Tanh() for _ in range(8)) for _ in range(4))
    trunk.below = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
    assert [found.name for found in find_stacks(trunk, 1)] == ["above"]
    assert [found.name for found in find_stacks(trunk, 2)] == ["above", "below"]


def test_the_stack_that_is_called_first_comes_first_and_one_that_is_not_is_left_out() -> None:
    stacks = [stack("writes", 1), stack("idle", 1), stack("reads.layer", 1)]
    found = in_order(stacks, ["reads.layer.0.fc", "writes.0.fc"])
    assert [one.name for one in found] == ["reads.layer", "writes"]


def test_layers_are_counted_by_calls() -> None:
    own, shared = stack("layer", 2), stack("layer", 1)
    assert own.layers(["layer.0.a", "layer.0.b", "layer.1.a", "layer.1.b"]) == 2
    assert shared.layers(3 * ["layer.0.a", "layer.0.b"]) == 3
    assert shared.layers(["layer.0.norm", "layer.0.a", "layer.0.norm"]) == 1, "a norm used twice"


def test_what_follows_a_stack_may_be_asked_of_its_owner_alone() -> None:
    calls = ["decoder.block.0.fc", "decoder.block.1.fc", "decoder.norm", "lm_head"]
    decoder = stack("decoder.block", 2)
    assert decoder.after(calls, by_owner=False) == ["decoder.norm", "lm_head"]
    assert decoder.after(calls, by_owner=True) == ["decoder.norm"]


def test_a_model_may_be_its_own_trunk() -> None:
    assert within("", "decoder.block") == "decoder.block"
    assert within("model", "decoder.layers") == "model.decoder.layers"
