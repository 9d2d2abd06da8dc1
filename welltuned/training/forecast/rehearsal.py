"""Rehearsal of a run's steps on a model without weights."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from welltuned.engines.device import autocast
from welltuned.models import cpu_attention
from welltuned.models.anatomy import undecorated
from welltuned.models.checkpoint_context import contexts
from welltuned.models.compat.transformers_api import recompute_activations, runs_own_code
from welltuned.models.freezing import set_training_modes
from welltuned.models.quantization import (
    QuantizedPart,
    held_tensors,
    quantize_base,
    weight_count,
)
from welltuned.models.silence import quiet
from welltuned.strategies import Context, ParameterGroup, Progress, Strategy
from welltuned.tasks import Examples
from welltuned.training.forecast.meta_tracer import Trace, imagining
from welltuned.training.preparation.prepare import RunPlan

_MOST_MADE_UP = 500_000_000
"""Weights up to which they are made up for a method that reads them."""


@dataclass(frozen=True)
class Rehearsal:
    """A strategy's model without weights, ready for steps without arithmetic."""

    prepared: RunPlan
    strategy: Strategy
    model: nn.Module
    groups: list[ParameterGroup]
    device: torch.device
    precision: str = "fp32"
    """What forward and backward passes compute in: `fp32` or `bf16`."""

    @classmethod
    def of(
        cls,
        prepared: RunPlan,
        strategy: Strategy,
        device: torch.device,
        checkpointing: bool = False,
    ) -> Rehearsal:
        """The model as training would start with it on a device."""
        prepared = _with_reference(prepared)
        model: nn.Module = _prepare(prepared, strategy)
        if checkpointing:
            with quiet():
                recompute_activations(model, context_fn=contexts)
        groups = strategy.parameter_groups(model, prepared.anatomy)
        rehearsal = cls(prepared, strategy, model, groups, device)
        rehearsal.look(prepared.learned, np.array([0]))  # what is only done with a first batch
        return rehearsal

    @property
    def weights(self) -> int:
        """Parameters, PEFT's spare copy of the head excepted."""
        named = self.model.named_parameters()
        return sum(weight_count(p) for name, p in named if ".original_module." not in name)

    @property
    def weight_bytes(self) -> int:
        """Everything that is held, buffers included."""
        tensors = {id(tensor): tensor for tensor in held_tensors(self.model)}
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())

    @property
    def read_bytes(self) -> int:
        """The same while it is loaded: before any of it is quantised."""
        part = QuantizedPart.of(self.model)
        before = part.weights * getattr(torch, self.prepared.config.model.dtype).itemsize
        return self.weight_bytes + before - part.bytes

    @property
    def trainable(self) -> int:
        """Parameters that train at some time."""
        return sum(p.numel() for group in self.groups for p in group.parameters)

    @property
    def trains_now(self) -> int:
        """Parameters that train at this stage."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    def advance(self, progress: Progress) -> None:
        """Let train what trains then."""
        self.strategy.advance(self.model, self.prepared.anatomy, progress)

    def step(self, micro_batches: Sequence[np.ndarray], keeps_gradients: bool = True) -> Trace:
        """Forward and backward passes whose gradients add up, as an optimizer step takes them.

        Or each gradient is let go as soon as it is there, as those of sharded weights are.
        """
        set_training_modes(self.model)
        batches = [self._batch(self.prepared.learned, indices) for indices in micro_batches]
        let_go = [] if keeps_gradients else [p for p in self.model.parameters() if p.requires_grad]
        hooks = [weight.register_post_accumulate_grad_hook(_let_go) for weight in let_go]
        with quiet(), self._imagining() as trace:
            for batch in batches:
                with autocast(self.precision, self.device):
                    loss = self.prepared.learned_by.objective.loss(self.model, batch)
                loss.backward()
        for hook in hooks:
            hook.remove()
        self.model.zero_grad(set_to_none=True)
        return trace

    def look(self, examples: Examples, indices: np.ndarray) -> Trace:
        """A forward pass without gradients, as scoring takes it."""
        self.model.eval()
        batch = self._batch(examples, indices)
        half = autocast(self.precision, self.device)
        with quiet(), torch.no_grad(), self._imagining() as trace, half:
            self.prepared.problem.objective.outputs(self.model, batch)
        return trace

    def _imagining(self) -> AbstractContextManager[Trace]:
        return imagining(self.model, self._place_of, self.device.type)

    def _place_of(self, name: str) -> str:
        """The part of the model a module is, for people."""
        plain, anatomy = undecorated(name), self.prepared.anatomy
        if any(plain == block.attention for block in anatomy.blocks):
            return "attention"
        if any(plain == block.name for block in anatomy.blocks):
            return "blocks"
        if plain in (*anatomy.head, *anatomy.pooler):
            return "head"
        return "embeddings" if plain == anatomy.reading.trunk else ""

    def _batch(self, examples: Examples, indices: np.ndarray) -> dict[str, torch.Tensor]:
        prepared = self.prepared
        arrays = prepared.learned_by.codec.collate(examples, indices.tolist(), prepared.pad_id)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _let_go(weight: torch.Tensor) -> None:
    weight.grad = None


def _with_reference(prepared: RunPlan) -> RunPlan:
    """With dummy reference outputs of the base model, where the loss compares with them."""
    problem = prepared.problem
    if not problem.objective.needs_reference:
        return prepared
    noted = {}
    for split, examples in prepared.examples.items():
        widest = max(len(examples.rows_of([i])) for i in range(len(examples)))
        noted[split] = problem.objective.with_reference(examples, np.zeros((len(examples), widest)))
    return replace(prepared, examples=noted)


def _prepare(prepared: RunPlan, strategy: Strategy) -> Any:
    """As `tuning.build`, but for the weights.

    A method that computes from weights finds none, and gets made-up ones: what it puts in has the
    same shapes with any.
    Raises `NotImplementedError` and `RuntimeError` where too many would have to be made up.
    """
    context = Context(
        anatomy=prepared.anatomy,
        tokenizer=prepared.tokenizer,
        model_name=prepared.config.model.location,
        task_type=prepared.problem.peft_task_type,
        seed=prepared.config.training.seed,
        examples=[prepared.examples["train"].encoded[0].tolist()],
    )
    skeleton = _skeleton(prepared)
    weights = sum(weight_count(weight) for weight in skeleton.parameters())
    try:
        with quiet(), imagining():
            model = strategy.prepare(skeleton, context)
    except (RuntimeError, NotImplementedError):
        if weights > _MOST_MADE_UP:
            raise
        with quiet():
            model = strategy.prepare(_with_made_up_weights(_skeleton(prepared)), context)
    model = model.to("meta")  # what was injected was made for real
    for name, parameter in model.named_parameters():
        if strategy.ever_trains(name, parameter, prepared.anatomy):
            parameter.data = parameter.data.float()
    return model


def _skeleton(prepared: RunPlan) -> Any:
    """The untouched model without weights, ready for its task."""
    config = type(prepared.head.config).from_dict(prepared.head.config.to_dict())
    dtype = getattr(torch, prepared.config.model.dtype)
    with torch.device("meta"):
        skeleton = prepared.head.auto_class.from_config(
            config, dtype=dtype, trust_remote_code=runs_own_code(config)
        )
    cpu_attention.use_in(skeleton)
    prepared.problem.codec.fit_model(skeleton)
    quantize_base(skeleton, prepared.config.model, prepared.anatomy, torch.device("meta"))
    return skeleton


def _with_made_up_weights(skeleton: Any) -> Any:
    """A model in memory whose numbers are random, as small as those of a model usually are."""
    made = skeleton.to_empty(device="cpu")
    numbers = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in held_tensors(made):
            if tensor.is_floating_point():
                tensor.normal_(std=0.02, generator=numbers)
            else:
                tensor.zero_()
    return made
