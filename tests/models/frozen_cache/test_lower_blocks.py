"""Lower blocks run alone, and are stepped over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from support import build, encode, logits
from welltuned.models.frozen_cache.lower_blocks import LowerBlocks, UnfitError

FAMILIES = ("bert", "roberta", "distilbert", "deberta-v2", "modernbert", "gpt2", "llama", "gemma2")


class Doubling(nn.Module):
    def __init__(self, rest: Any = ()) -> None:
        super().__init__()
        self.rest, self.calls = rest, 0

    def forward(self, states: torch.Tensor) -> Any:
        self.calls += 1
        return (states * 2, *self.rest) if self.rest else states * 2


def parts(rest: Any = ()) -> tuple[list[Any], LowerBlocks, Any]:
    blocks: list[Any] = [Doubling(rest) for _ in range(3)]
    embeddings = nn.Identity()

    def whole() -> torch.Tensor:
        states = embeddings(torch.ones(1, 1, 1))
        for block in blocks:
            found = block(states)
            states = found[0] if isinstance(found, tuple) else found
        return states

    return blocks, LowerBlocks(blocks, embeddings), whole


@pytest.mark.parametrize("rest", [(), (None,)])
def test_a_pass_ends_at_the_highest_depth_that_is_asked_for(rest: Any) -> None:
    blocks, lower, whole = parts(rest)
    found = lower.run(whole, [1, 2])
    assert {depth: states.item() for depth, states in found.items()} == {1: 2, 2: 4}
    assert [block.calls for block in blocks] == [1, 1, 0]
    assert whole().item() == 8  # and afterwards all is as before


@pytest.mark.parametrize("skip", [True, False])
def test_a_pass_begins_with_the_states_it_is_given(skip: bool) -> None:
    blocks, lower, whole = parts()
    lower.skip_embeddings = skip
    with lower.skipped(2, torch.full((1, 1, 1), 5.0)):
        assert whole().item() == 10
    assert [block.calls for block in blocks] == [0, 0, 1]
    assert whole().item() == 8


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("depth", [1, 4])
def test_a_pass_that_begins_above_the_blocks_gives_what_a_whole_one_gives(
    family: str, depth: int, tiny: Callable[..., str]
) -> None:
    """Bit for bit, for families whose masks depend on a block's number too."""
    folder = tiny(family)
    model, anatomy, _ = build(folder, {"type": "partial", "num_blocks": 0})
    batch = encode(folder, ["good film", "the film was very good and the room was cold " * 3])
    lower = LowerBlocks.of(model, anatomy)
    lower.skip_embeddings = False
    with lower.noted(depth) as noted:
        whole = logits(model, batch)
    with lower.skipped(depth, noted[0]):
        assert torch.equal(logits(model, batch), whole)
    with lower.skipped(depth, noted[0] * 0):
        assert not torch.equal(logits(model, batch), whole)
    assert len(noted) == 1
    assert torch.equal(logits(model, batch), whole)  # and afterwards all is as before


@pytest.mark.parametrize("depth", [0, 1])
def test_nothing_is_noted_where_there_is_nothing_to_keep(depth: int) -> None:
    _, lower, whole = parts((torch.ones(1),))
    with lower.noted(depth) as noted:
        whole()
    assert not noted


def test_blocks_that_hand_on_more_than_states_are_refused() -> None:
    for depth in (1, 3):
        _, lower, whole = parts((torch.ones(1),))
        with pytest.raises(UnfitError):
            lower.run(whole, [depth])


def test_an_interrupted_pass_leaves_the_blocks_as_they_were() -> None:
    blocks, lower, _ = parts()
    with pytest.raises(KeyError), lower.skipped(2, torch.zeros(1, 1, 1)):
        raise KeyError
    assert all("forward" not in vars(block) for block in blocks)


def test_a_block_in_train_mode_is_noticed() -> None:
    blocks, lower, _ = parts()
    for block in blocks:
        block.eval()
    blocks[2].train()
    assert lower.train(3) and not lower.train(2)
    blocks[2].gradient_checkpointing = True  # it says that it trains to be recomputed
    assert not lower.train(3)


def test_widths_that_fill_no_vector_are_noticed() -> None:
    narrow, wide = nn.Linear(48, 32), nn.Linear(64, 32)
    assert not LowerBlocks([wide, narrow], nn.Identity()).fill_vectors
    assert LowerBlocks([wide], nn.Identity()).fill_vectors
