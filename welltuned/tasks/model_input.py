"""Model input: how a model takes in what a codec encodes, where that is more than token ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.errors import Fault

if TYPE_CHECKING:
    from torch import nn

    from welltuned.models.anatomy import Anatomy


class ModelInput:
    """What every codec says of it; as it stands, a model reads token ids and nothing else."""

    @property
    def reads_plainly(self) -> bool:
        """Whether texts go through the tokenizer as they are, so that whoever has it reads the
        same."""
        return False

    @property
    def more_than_tokens(self) -> bool:
        """Whether a row is more than the ids of its tokens."""
        return False

    @property
    def pairs_of_rows(self) -> bool:
        """Whether each example is two rows, which a model reads at once and in their order."""
        return False

    def check_model(self, anatomy: Anatomy) -> Iterator[Fault]:
        """Yield why a model cannot read what is encoded."""
        yield from ()

    def fit_model(self, model: nn.Module) -> None:
        """Let a model read what is encoded, where it does not by itself."""
        return None

    def picture(self, records: Records) -> Mapping[str, JsonValue] | None:
        """One record as a model reads it, where that is more than its tokens, for the report."""
        return None
