"""How deep a model is frozen, and that no other weights have the same fingerprint."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from support import STRATEGIES, build
from welltuned.models.frozen_cache.frozen_part import FrozenPart


@pytest.mark.parametrize(
    ("strategy", "depth"),
    [("partial", 2), ("head", 4), ("gradual", 4), ("full", 0), ("lora", 0), ("prompt", 0)],
)
def test_blocks_below_everything_that_trains_are_frozen(
    strategy: str, depth: int, tiny: Callable[..., str]
) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES[strategy])
    assert FrozenPart(model, anatomy).depth() == depth


def test_the_depth_follows_what_trains_now(tiny: Callable[..., str]) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES["head"])
    part = FrozenPart(model, anatomy)
    model.get_submodule(anatomy.blocks[3].name).requires_grad_(True)
    assert part.depth() == 3
    model.get_submodule(anatomy.word_embeddings).requires_grad_(True)
    assert part.depth() == 0


def test_an_adapter_that_is_switched_off_still_counts(tiny: Callable[..., str]) -> None:
    strategy = {"type": "lora", "r": 2, "target_modules": ["query"], "layers_to_transform": [3]}
    model, anatomy, _ = build(tiny("bert"), strategy)
    part = FrozenPart(model, anatomy)
    with model.disable_adapter():
        assert part.depth() == 3


def test_a_fingerprint_tells_of_depth_weights_and_precision(tiny: Callable[..., str]) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES["head"])
    part = FrozenPart(model, anatomy)
    seen = [part.fingerprint(4), part.fingerprint(3)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen.append(part.fingerprint(4))
    weight = next(model.get_submodule(anatomy.blocks[0].name).parameters())
    with torch.no_grad():
        weight.view(-1)[0] += 1
    seen += [part.fingerprint(4), part.fingerprint(3)]
    assert len(set(seen)) == 5
    with torch.no_grad():
        weight.view(-1)[0] -= 1
    other, _, _ = build(tiny("bert"), STRATEGIES["partial"])
    assert FrozenPart(other, anatomy).fingerprint(4) == seen[0]  # of equal weights, in any model


def test_blocks_above_are_of_no_account(tiny: Callable[..., str]) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES["partial"])
    part = FrozenPart(model, anatomy)
    before = part.fingerprint(2)
    with torch.no_grad():
        next(model.get_submodule(anatomy.blocks[3].name).parameters()).add_(1)
    assert part.fingerprint(2) == before
