"""What depends on a batch, on chance, or on more than states is noticed."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from welltuned.models.frozen_cache.exactness import refusal, rows_agree
from welltuned.models.frozen_cache.lower_blocks import LowerBlocks
from welltuned.models.frozen_cache.token_rows import TokenRows


def some_rows() -> TokenRows:
    rows = TokenRows.of({"input_ids": torch.arange(40).view(2, 20), "attention_mask": None})
    assert rows is not None
    return rows


def states(rows: TokenRows, chosen: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rows.tracks["input_ids"][chosen]).float()[:, :, None]


def test_rows_that_are_alone_in_the_world_agree() -> None:
    assert rows_agree(some_rows(), states)


def test_a_last_row_that_differs_is_noticed() -> None:
    def compute(rows: TokenRows, chosen: np.ndarray) -> torch.Tensor:
        found = states(rows, chosen)
        found[-1, -1] *= 1 + 1e-6
        return found

    assert not rows_agree(some_rows(), compute)


def test_a_batch_of_few_that_differs_is_noticed() -> None:
    def compute(rows: TokenRows, chosen: np.ndarray) -> torch.Tensor:
        return states(rows, chosen) * (1 + 1e-6 * (len(chosen) < 20))

    assert not rows_agree(some_rows(), compute)


class Trunk(nn.Module):
    """Embeddings, two blocks, and what may need more than the states of the first."""

    def __init__(self, leaks: bool) -> None:
        super().__init__()
        self.embeddings, self.blocks = nn.Identity(), nn.ModuleList([nn.Identity(), nn.Identity()])
        self.leaks = leaks

    def forward(self) -> torch.Tensor:
        embedded = self.embeddings(torch.arange(40.0).view(2, 20, 1))
        first = self.blocks[0](embedded + 1)
        return self.blocks[1](first) + (embedded if self.leaks else 0)


def test_a_trunk_that_needs_its_embeddings_again_keeps_them() -> None:
    trunk = Trunk(leaks=True)
    blocks = LowerBlocks(list(trunk.blocks), trunk.embeddings)
    assert refusal(blocks, 1, some_rows(), states, trunk) is None
    assert not blocks.skip_embeddings
    blocks = LowerBlocks(list(Trunk(leaks=False).blocks), nn.Identity())
    trunk = Trunk(leaks=False)
    blocks = LowerBlocks(list(trunk.blocks), trunk.embeddings)
    assert refusal(blocks, 1, some_rows(), states, trunk) is None
    assert blocks.skip_embeddings


def test_what_needs_more_than_states_is_refused() -> None:
    trunk = Trunk(leaks=False)
    noted: list[torch.Tensor] = []
    trunk.blocks[0].register_forward_hook(lambda *found: noted.append(found[2]))
    trunk.blocks[1].register_forward_hook(lambda module, inputs, output: output + len(noted))
    blocks = LowerBlocks(list(trunk.blocks), trunk.embeddings)
    why = refusal(blocks, 1, some_rows(), states, trunk)
    assert why is not None and "more than their states" in why


def test_chance_is_refused() -> None:
    trunk = Trunk(leaks=False)
    blocks = LowerBlocks(list(trunk.blocks), trunk.embeddings)
    why = refusal(blocks, 1, some_rows(), lambda rows, chosen: torch.rand(1, 1, 1), trunk)
    assert why is not None and "chance" in why
