"""What every reward is: a config that says what it reads, what it gives, and what that counts.

Two kinds: a `JudgeSource` is a model or a function of the user's; a `Check` is a rule, whose
rewards follow from a response and the row of its prompt alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from welltuned.rlhf.stage_config import Nested

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Columns = Mapping[str, Sequence[object]]
"""Cells of the rows that prompts come from: for each column one cell a prompt."""
Score = Callable[..., Any]
"""`(prompts, responses) -> rewards`, one number a pair. A reward that reads columns is given them
as a third argument, `Columns`."""


class RewardSource(Nested):
    """One reward, and its weight in the sum of all."""

    shorthand: ClassVar[str | None] = "type"

    type: str
    weight: float = 1.0
    """What its rewards are multiplied by."""

    @property
    def kind(self) -> Literal["run", "function", "model", "trained", "check"]:
        """What has to be there for it: a finished run, a function, a model, a run of its own here,
        or nothing."""
        return "check"

    @property
    def name(self) -> str:
        """What people call it."""
        return self.type

    @property
    def needed_columns(self) -> tuple[str, ...]:
        """The columns of the prompts' own rows that it reads, as their files name them."""
        return ()

    expects: ClassVar[str] = "anything"
    """What has to stand in these columns, in words."""

    def accepts(self, cell: object) -> bool:
        """Whether a cell of these columns can be used."""
        return True

    def made_in(self, folder: Path | None) -> Path | None:
        """The run that made it; `folder` is the one that it was trained in here, if it was."""
        return folder

    def require(self) -> None:
        """Raise `InputError` where it cannot be used here, such as without an optional package."""
        return None


class Check(RewardSource):
    """A reward by rule."""

    @abstractmethod
    def score(self, response: str, cells: Mapping[str, object]) -> float:
        """The reward of a response; `cells` are those of its prompt's row, by column."""

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str], columns: Columns | None = None
    ) -> list[float]:
        """The rewards of several (N)."""
        cells = {name: (columns or {})[name] for name in self.needed_columns}
        rows = ({name: column[i] for name, column in cells.items()} for i in range(len(responses)))
        return [self.score(response, row) for response, row in zip(responses, rows, strict=True)]

    def scorer(self, tokenizer: PreTrainedTokenizerBase | None) -> Score:
        """What gives the rewards; `tokenizer` is that of the policy, where one is known.

        Raises `InputError` where it needs one.
        """
        return self.scores
