"""Token ids of many texts in one flat array, in memory or on disk (`data/storage/on_disk.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.storage.on_disk import Growing
from welltuned.data.tokens import ragged
from welltuned.data.tokens.cutting import tokenise_and_cut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CHUNK = 1000

IGNORED = -100
"""The label of tokens that no loss is computed on."""


@dataclass(frozen=True)
class Encoded:
    """N texts as a model reads them.

    Their ids end to end (int32), where each starts (N + 1 offsets), and which were
    cut short (N).
    """

    ids: np.ndarray
    offsets: np.ndarray
    truncated: np.ndarray
    type_ids: np.ndarray | None = None
    """Which of two texts a token belongs to (int8), for families that tell them apart."""
    labels: np.ndarray | None = None
    """What each token shall be recognised as or followed by (int32); `IGNORED` where nothing is."""
    positions: np.ndarray | None = None
    """The position of each token in its own text (int32), where a row holds several texts."""

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[int] | np.ndarray],
        truncated: Sequence[bool],
        **tracks: Sequence[Sequence[int] | np.ndarray] | None,
    ) -> Encoded:
        """From token ids a text, and further tracks of the same lengths under their field names."""
        return cls(
            _flat(rows, np.int32),
            ragged.offsets_of([len(row) for row in rows]),
            np.asarray(truncated, dtype=bool),
            **{
                name: _flat(track, np.int8 if name == "type_ids" else np.int32)
                for name, track in tracks.items()
                if track is not None
            },
        )

    def __len__(self) -> int:
        return len(self.truncated)

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def take(self, indices: Sequence[int]) -> Encoded:
        """The texts at `indices`, in that order."""
        where, offsets = ragged.take(self.offsets, indices)
        tracks = (self.type_ids, self.labels, self.positions)
        taken = [track[where] if track is not None else None for track in tracks]
        return Encoded(self.ids[where], offsets, self.truncated[list(indices)], *taken)

    def join(self, other: Encoded) -> Encoded:
        """These texts and then those, with the same tracks."""

        def track(one: np.ndarray | None, two: np.ndarray | None) -> np.ndarray | None:
            return None if one is None or two is None else np.concatenate([one, two])

        types = self.type_ids, other.type_ids
        if any(part is not None for part in types):  # left out where all are 0
            types = (
                np.zeros(len(self.ids), dtype=np.int8) if types[0] is None else types[0],
                np.zeros(len(other.ids), dtype=np.int8) if types[1] is None else types[1],
            )
        return Encoded(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]),
            np.concatenate([self.truncated, other.truncated]),
            track(*types),
            track(self.labels, other.labels),
            track(self.positions, other.positions),
        )


def _flat(rows: Sequence[Sequence[int] | np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    parts = [np.asarray(row, dtype=dtype) for row in rows]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


def encode_texts(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    max_length: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Encoded:
    """Tokenise texts (or pairs of texts) with special tokens, cut to `max_length`.

    `progress` hears how many are done.

    Special tokens that are written in a text stay text, unless the tokenizer was told otherwise.
    A tokenizer file may ask for padding and truncation of its own; both are
    overridden here. Pairs lose tokens from the longer text first.
    """
    ids, types = Growing(np.int32), Growing(np.int8)
    lengths: list[int] = []
    truncated: list[bool] = []
    for start in range(0, len(texts), _CHUNK):
        stop = start + _CHUNK
        second = None if pairs is None else list(pairs[start:stop])
        found = tokenise_and_cut(tokenizer, list(texts[start:stop]), second, max_length)
        ids.add(found.ids)
        lengths += map(len, found.ids)
        if found.type_ids is not None:
            types.add(found.type_ids)
        truncated += found.cut
        progress(min(stop, len(texts)))
    flat_types = types.array()
    told_apart = flat_types if flat_types.any() else None  # else one segment: models' own default
    offsets = ragged.offsets_of(lengths)
    return Encoded(ids.array(), offsets, np.asarray(truncated, dtype=bool), told_apart)


def pad(
    encoded: Encoded, indices: Sequence[int], pad_id: int, side: str = "right"
) -> dict[str, np.ndarray]:
    """A batch, padded to its longest text.

    It holds `input_ids` and `attention_mask` (B, T), and of the same shape
    `token_type_ids`, `labels` and `position_ids` where the texts have them.
    """
    real_BT, where_N = ragged.grid(encoded.offsets, indices, side=side)
    batch = {"attention_mask": real_BT.astype(np.int64)}
    for name, track, filler in (
        ("input_ids", encoded.ids, pad_id),
        ("token_type_ids", encoded.type_ids, 0),
        ("labels", encoded.labels, IGNORED),
        ("position_ids", encoded.positions, 0),
    ):
        if track is not None:
            batch[name] = np.full(real_BT.shape, filler, dtype=np.int64)
            batch[name][real_BT] = track[where_N]
    return batch
