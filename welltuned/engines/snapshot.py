"""Snapshot: all that a training goes on from after an interruption, as if there had been none.

What follows from config, data and seed alone is not in it: the order of examples, the schedule,
frozen weights. The rest is tensors (weights that train, moments of the optimizer, states of random
numbers) and numbers (what validation, meters and listeners have added up).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
from torch import nn

from welltuned.engines import distributed
from welltuned.errors import Fault, RunFailed
from welltuned.models.tensor_parts import as_held, on_main
from welltuned.strategies import ParameterGroup

_NUMBERS = (bool, int, float)
_SETTINGS = ("lr", "initial_lr", "weight_decay", "in_blocks", "part")
"""Numbers of an optimizer's group that follow from the config and the schedule."""


class OptimizerNumbers(TypedDict):
    """What an optimizer keeps that is no tensor."""

    weights: dict[str, dict[str, Any]]
    """By the name of a weight and the quantity."""
    groups: list[dict[str, Any]]
    """By the place of a group what it counts, such as its steps."""


@dataclass(frozen=True)
class Snapshot:
    """A training between two optimizer steps, the validation that may follow not yet begun."""

    step: int
    """Optimizer steps taken."""
    weights: dict[str, torch.Tensor]
    """By name all weights that train at some time."""
    optimizer: dict[str, torch.Tensor]
    """By `quantity/name of the weight`, such as `exp_avg/classifier.weight`; what is no tensor of
    it is under `optimizer` in `numbers`."""
    random: dict[str, torch.Tensor]
    """States of torch's random numbers, by `device/rank`."""
    numbers: dict[str, Any]
    """What JSON holds."""

    @classmethod
    def of(
        cls,
        step: int,
        weights: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        numbers: dict[str, Any],
    ) -> Snapshot:
        """Of a training as it is now; to be called by all processes alike.

        Tensors are those of the training itself, so it is to be written before the next step.
        Of sharded ones the main process has the whole, in the memory of the host: so it fits any
        number of processes, and none.
        """
        moments = on_main(optimizer_tensors(optimizer, weights))
        numbers = {**numbers, "optimizer": optimizer_numbers(optimizer, weights)}
        return cls(step, on_main(weights), moments, random_states(device), numbers)

    def put_back(
        self,
        weights: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        device: torch.device,
    ) -> None:
        """Put the tensors back; the numbers are for whoever added them up."""
        restore_weights(weights, self.weights)
        restore_optimizer(optimizer, weights, self.optimizer, self.numbers.get("optimizer"))
        restore_random_states(self.random, device)


def trained_weights(model: nn.Module, groups: Sequence[ParameterGroup]) -> dict[str, nn.Parameter]:
    """By name what trains at some time."""
    trains = {id(weight) for group in groups for weight in group.parameters}
    return {name: weight for name, weight in model.named_parameters() if id(weight) in trains}


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, weights: Mapping[str, nn.Parameter]
) -> dict[str, torch.Tensor]:
    """What an optimizer keeps of each weight; nothing of those that had no gradient yet."""
    kept = _kept(optimizer, weights)
    return {f"{what}/{name}": v for name, what, v in kept if isinstance(v, torch.Tensor)}


def optimizer_numbers(
    optimizer: torch.optim.Optimizer, weights: Mapping[str, nn.Parameter]
) -> OptimizerNumbers:
    """What an optimizer counts, by weight and by group.

    Raises `RunFailed` for a state that neither safetensors nor JSON hold.
    """
    counts: dict[str, dict[str, Any]] = {}
    for name, what, value in _kept(optimizer, weights):
        if value is None or isinstance(value, _NUMBERS):
            counts.setdefault(name, {})[what] = value
        elif not isinstance(value, torch.Tensor):
            raise RunFailed(
                Fault(
                    "training.optimizer_state_unsaved",
                    "the optimizer keeps '{what}' of type {type}, which cannot be saved: a "
                    "training that is interrupted could not go on",
                    None,
                    "keep tensors and numbers alone in its state, or choose another optimizer",
                    what=what,
                    type=type(value).__name__,
                )
            )
    return {"weights": counts, "groups": [_counted(optimizer, g) for g in optimizer.param_groups]}


def _kept(
    optimizer: torch.optim.Optimizer, weights: Mapping[str, nn.Parameter]
) -> Iterator[tuple[str, str, Any]]:
    """(name of the weight, quantity, value)."""
    for name, weight in weights.items():
        for what, value in optimizer.state.get(weight, {}).items():
            yield name, what, value


def _counted(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a group that are no longer, or never were, among an optimizer's defaults.

    Those that follow from the config and the schedule are left out.
    """
    return {
        name: value
        for name, value in group.items()
        if name not in _SETTINGS
        and isinstance(value, _NUMBERS)
        and (name not in optimizer.defaults or optimizer.defaults[name] != value)
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    weights: Mapping[str, nn.Parameter],
    tensors: Mapping[str, torch.Tensor],
    numbers: OptimizerNumbers | None = None,
) -> None:
    """Give an optimizer back what it kept, on the devices of the weights."""
    for key, tensor in tensors.items():
        quantity, name = key.split("/", 1)
        held = as_held(tensor, weights[name])
        optimizer.state[weights[name]][quantity] = held.to(weights[name].device)
    if numbers is None:
        return
    for name, counts in numbers["weights"].items():
        optimizer.state[weights[name]].update(counts)
    for group, counted in zip(optimizer.param_groups, numbers["groups"], strict=True):
        group.update(counted)


def restore_weights(
    weights: Mapping[str, nn.Parameter], tensors: Mapping[str, torch.Tensor]
) -> None:
    """Put values back into the parameters that hold them."""
    with torch.no_grad():
        for name, tensor in tensors.items():
            weights[name].copy_(as_held(tensor, weights[name]))


def random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """Those of all processes; to be called by all alike."""
    own = {f"cpu/{distributed.rank()}": torch.get_rng_state()}
    if device.type == "cuda":
        own[f"cuda/{distributed.rank()}"] = torch.cuda.get_rng_state(device)
    return {name: state for states in distributed.gathered(own) for name, state in states.items()}


def restore_random_states(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """This process's own."""
    torch.set_rng_state(states[f"cpu/{distributed.rank()}"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[f"cuda/{distributed.rank()}"], device)
