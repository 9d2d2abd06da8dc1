"""The rows of a padded batch without their padding, each known by its tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

TRACKS = ("input_ids", "token_type_ids", "position_ids")
"""What tells one row from another."""
MASK = "attention_mask"


@dataclass(frozen=True, eq=False)
class TokenRows:
    """A batch of rows, padded on the right."""

    tracks: dict[str, np.ndarray]
    """By name (B, T) each, among them `input_ids`."""
    lengths_B: np.ndarray
    masked: bool
    """Whether the batch came with an attention mask."""

    @classmethod
    def of(cls, given: Mapping[str, object]) -> TokenRows | None:
        """The rows that a trunk is given; None where they depend on more than their own tokens.

        That is so for rows padded on the left, whose positions follow from the padding, for packed
        rows, and for masks that tell more than where a row ends.
        """
        ids, mask = given.get("input_ids"), given.get(MASK)
        if not isinstance(ids, torch.Tensor) or ids.ndim != 2 or not ids.numel():
            return None
        tracks = {name: given[name] for name in TRACKS if given.get(name) is not None}
        if any(getattr(track, "shape", None) != ids.shape for track in tracks.values()):
            return None
        lengths_B = _lengths(ids, mask)
        if lengths_B is None or (mask is None and len(tracks) > 1):
            return None
        arrays = {name: _array(track) for name, track in tracks.items()}
        return cls(arrays, lengths_B, mask is not None)

    def __len__(self) -> int:
        return len(self.lengths_B)

    @property
    def width(self) -> int:
        """T, padding included."""
        return int(self.tracks["input_ids"].shape[1])

    @cached_property
    def keys(self) -> list[bytes]:
        """Equal for rows of equal tokens, types and positions."""
        told = ",".join(self.tracks).encode()
        stacked_BKT = np.stack(list(self.tracks.values()), axis=1)
        return [
            hashlib.blake2b(told + row_KT[:, :length].tobytes(), digest_size=16).digest()
            for row_KT, length in zip(stacked_BKT, self.lengths_B, strict=True)
        ]

    def by_length(self, rows: Iterable[int]) -> dict[int, list[int]]:
        """Some rows in groups that need no padding."""
        groups: dict[int, list[int]] = {}
        for row in rows:
            groups.setdefault(int(self.lengths_B[row]), []).append(row)
        return groups

    def windows(self, length: int, number: int) -> TokenRows:
        """So many rows of other tokens of the same texts, all of one length or the longest one."""
        longest = int(np.argmax(self.lengths_B))
        length = min(length, int(self.lengths_B[longest]))
        real_M = self.tracks["input_ids"][np.arange(self.width) < self.lengths_B[:, None]]
        tracks = {
            name: np.tile(track[longest, :length], (number, 1))
            for name, track in self.tracks.items()
        }
        tracks["input_ids"] = np.resize(real_M, (number, length))
        return TokenRows(tracks, np.full(number, length), self.masked)

    def batch(self, rows: np.ndarray, device: torch.device) -> dict[str, torch.Tensor | None]:
        """What a trunk is given for rows of one length."""
        length = int(self.lengths_B[rows[0]])
        tensors: dict[str, torch.Tensor | None] = {
            name: torch.from_numpy(np.ascontiguousarray(track[rows, :length])).to(device)
            for name, track in self.tracks.items()
        }
        ones = torch.ones(len(rows), length, dtype=torch.long, device=device)
        return {**tensors, MASK: ones if self.masked else None}


def _lengths(ids_BT: torch.Tensor, mask: object) -> np.ndarray | None:
    """How many tokens each row has; None where its padding does not follow them."""
    rows, width = ids_BT.shape
    if mask is None:
        return np.full(rows, width)
    if not isinstance(mask, torch.Tensor) or mask.shape != ids_BT.shape:
        return None
    real_BT = _array(mask) != 0
    lengths_B: np.ndarray = real_BT.sum(axis=1)
    is_prefix = bool((real_BT == (np.arange(width) < lengths_B[:, None])).all())
    return lengths_B if is_prefix and lengths_B.min() > 0 else None


def _array(tensor: object) -> np.ndarray:
    assert isinstance(tensor, torch.Tensor)
    return tensor.detach().cpu().numpy()
