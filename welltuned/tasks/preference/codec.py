"""Compared answers as a language model reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.schema.messages import Message
from welltuned.tasks import pairs
from welltuned.tasks.direct_alignment import AlignmentCodec
from welltuned.tasks.examples import Examples


@dataclass(frozen=True)
class ComparedCodec(AlignmentCodec):
    """A prompt with all responses to it, and which of them are better than which."""

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return pairs.read(records, faults)

    def notes(self, examples: Examples, split: str) -> list[Message]:
        return pairs.notes(examples, split)
