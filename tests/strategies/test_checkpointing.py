"""Gradient checkpointing: the same gradients from less memory, under every strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from support import build, encode, make_rows, short_tune
from welltuned.models.compat.transformers_api import recompute_activations
from welltuned.models.freezing import set_training_modes

STRATEGIES: dict[str, dict[str, Any]] = {
    "full": {"type": "full"},
    "partial": {"type": "partial", "num_blocks": 2},
    "lora": {"type": "lora", "r": 4},
    "prompt": {"type": "prompt", "num_virtual_tokens": 5},
    "prefix": {"type": "prefix", "num_virtual_tokens": 5},
    "houlsby": {"type": "adapter", "reduction_factor": 8},
    "parallel": {"type": "adapter", "reduction_factor": 8, "placement": "parallel"},
}
TEXTS = [row["text"] for row in make_rows(6, seed=5)]
every = pytest.mark.parametrize("strategy", STRATEGIES)


def gradients(
    folder: str, strategy: dict[str, Any], checkpointing: bool
) -> tuple[dict[str, torch.Tensor], int]:
    """The gradients of one step by name, and how often the top block's last layer ran."""
    model, anatomy, _ = build(folder, strategy)
    if checkpointing:
        recompute_activations(model)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    set_training_modes(model)
    runs: list[int] = []
    name = str(anatomy.blocks[-1].feed_forward_output).removeprefix(f"{anatomy.trunk}.")
    module = next(m for n, m in model.named_modules() if n.endswith(name))
    module.register_forward_pre_hook(lambda *_: runs.append(1))
    model(**encode(folder, TEXTS)).logits.square().sum().backward()
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return found, len(runs)


@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
@every
def test_checkpointing_changes_no_gradient(strategy: str, family: str, tiny: Any) -> None:
    """(P6) And does happen: the block runs once more in the backward pass."""
    plain, once = gradients(tiny(family), STRATEGIES[strategy], checkpointing=False)
    saving, twice = gradients(tiny(family), STRATEGIES[strategy], checkpointing=True)
    assert plain.keys() == saving.keys() != set()
    for name, gradient in plain.items():
        torch.testing.assert_close(saving[name], gradient, atol=1e-6, rtol=1e-5, msg=name)
    assert (once, twice) == (1, 2)


@every
def test_a_run_with_checkpointing_ends_where_one_without_does(
    strategy: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(P6) With dropout on: the second pass draws what the first one drew."""
    runs = [
        short_tune(
            tiny("bert"),
            sentiment,
            STRATEGIES[strategy],
            tmp_path / str(checkpointing),
            training={"gradient_checkpointing": checkpointing},
        )
        for checkpointing in (False, True)
    ]
    losses = [
        [row["loss"] for row in run.read_lines("metrics.jsonl") if "loss" in row] for run in runs
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
