"""A response says what it shall, and nothing that it shall not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.data.cells import as_list
from welltuned.rlhf.rewards.base import Check
from welltuned.schema.part import conflict

Texts = tuple[str, ...]


class Contains(Check):
    """1 where a response contains what is asked for and nothing that is excluded, else 0."""

    stands_with: ClassVar[Mapping[str, str]] = {"all_of": "[Dear, Sincerely]"}
    expects: ClassVar[str] = "a text, or a list of texts"

    type: Literal["contains"] = "contains"
    all_of: Texts = Field(default=(), examples=[["Dear", "Sincerely"]])
    """Texts that have to stand in a response, all of them."""
    any_of: Texts = Field(default=(), examples=[["yes", "no"]])
    """Texts of which one has to."""
    none_of: Texts = Field(default=(), examples=[["as an AI"]])
    """Texts that may not."""
    column: str | None = Field(default=None, examples=["keywords"])
    """A column of the prompts' file with more texts that all have to: one, or a list of them."""
    ignore_case: bool = True
    """Whether A and a are the same."""

    @model_validator(mode="after")
    def _asks_something(self) -> Contains:
        if not (self.all_of or self.any_of or self.none_of or self.column):
            raise conflict(
                "rlhf.contains_nothing",
                "'contains' asks for nothing and excludes nothing",
                "give all_of, any_of, none_of or column",
            )
        return self

    @property
    def needed_columns(self) -> tuple[str, ...]:
        return () if self.column is None else (self.column,)

    def accepts(self, cell: object) -> bool:
        texts = _texts_of(cell)
        return bool(texts) and all(texts)

    def score(self, response: str, cells: Mapping[str, object]) -> float:
        more = [] if self.column is None else _texts_of(cells[self.column])
        text = self._folded(response)
        has = [self._folded(one) in text for one in (*self.all_of, *more)]
        has_any = [self._folded(one) in text for one in self.any_of] or [True]
        excluded = [self._folded(one) in text for one in self.none_of]
        return float(all(has) and any(has_any) and not any(excluded))

    def _folded(self, text: str) -> str:
        return text.casefold() if self.ignore_case else text


def _texts_of(cell: object) -> list[str]:
    """The texts of a cell: of a list, also where it is written as text, or the one that it is."""
    if cell is None:
        return []
    listed = as_list(cell)
    return [str(cell)] if listed is None else [str(one) for one in listed]
