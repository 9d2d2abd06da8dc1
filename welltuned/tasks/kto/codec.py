"""Answers with thumbs as a language model reads them, each beside one to another prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.tasks import pairs
from welltuned.tasks.direct_alignment import AlignmentCodec
from welltuned.tasks.grouped import Grouped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class ThumbCodec(AlignmentCodec):
    """Two rows a record: its prompt with its answer, and with the answer to another prompt.

    The second is for the divergence alone, which is estimated from pairs that do not belong
    together. The target is the first one's: a `score` of 1 or 0.
    """

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return pairs.read(records, faults)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Grouped:
        number, said = len(records), records["responses"]
        own = super().encode(tokenizer, records, max_length, progress)
        others = [said[i] for i in next_of_another(records["prompt"])]
        swapped = replace(records, columns={**records.columns, "responses": others})
        other = super().encode(tokenizer, swapped, max_length)
        order = np.arange(2 * number).reshape(2, number).T.ravel()
        targets = own.targets
        if targets is not None:
            for i, target in enumerate(targets):
                lengths = [len(text) for text in (*said[i], *others[i])]
                targets[i] = replace(target, lengths_K=np.array(lengths))
        return replace(
            own,
            encoded=own.encoded.join(other.encoded).take(order.tolist()),
            targets=targets,
            starts=2 * np.arange(number + 1, dtype=np.int64),
        )


def next_of_another(prompts: Sequence[str]) -> list[int]:
    """For each prompt the next place, from the end on to the beginning, with another prompt.

    Where all are the same, the next one.
    """
    number = len(prompts)
    if len(set(prompts)) < 2:
        return [(i + 1) % number for i in range(number)]
    found = [0] * number
    place = next(i for i in range(number) if prompts[i] != prompts[-1])
    for i in reversed(range(number)):
        if i + 1 < number and prompts[i + 1] != prompts[i]:
            place = i + 1
        found[i] = place
    return found
