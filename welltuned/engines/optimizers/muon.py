"""Muon with AdamW beside it.

Muon makes the update of a matrix orthogonal, which is meant for the hidden layers of a network
(Jordan et al. 2024). Embeddings, heads, biases and norms take AdamW's steps. With
`adjust_lr_fn: match_rms_adamw`, the default here, both have updates of one size, so there is one
learning rate for all (Liu et al. 2025, arXiv 2502.16982).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import AdamW, Optimizer

Groups = list[dict[str, Any]]


def split_groups(groups: Groups) -> tuple[Groups, Groups]:
    """(the matrices of blocks, everything else), each group with the settings that it had."""
    matrices: Groups = []
    rest: Groups = []
    for group in groups:
        for part, is_muons in ((matrices, True), (rest, False)):
            own = [p for p in group["params"] if (group["in_blocks"] and p.ndim == 2) is is_muons]
            if own:
                part.append({**group, "params": own})
    return matrices, rest


class MuonBesideAdamW(Optimizer):
    """Two optimizers that look like one: what both keep lies in one `state`."""

    def __init__(
        self,
        groups: Groups,
        muon: Callable[[Groups], Optimizer],
        adamw: Callable[[Groups], AdamW],
    ) -> None:
        matrices, rest = split_groups(groups)
        self._parts = [
            make([{**group, "part": i} for group in part])
            for i, (make, part) in enumerate(((muon, matrices), (adamw, rest)))
            if part
        ]
        super().__init__([group for part in self._parts for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            number = part.param_groups[0]["part"]
            # Whoever loads a state puts other groups in the place of those there were.
            part.param_groups = [g for g in self.param_groups if g["part"] == number]
            part.state = self.state
            part.step()
        return loss
