"""The config of an encoding of source code with its data flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.data.dataflow import LanguageName
from welltuned.schema.part import Part, conflict


class Dataflow(Part):
    """Source code with its data flow: behind its tokens stand nodes, one for each variable that
    takes or gives a value, and attention follows where values come from. For RoBERTa-like encoders,
    such as GraphCodeBERT, which was pretrained so."""

    shorthand: ClassVar[str | None] = "type"
    stands_with: ClassVar[Mapping[str, str]] = {"language": "java"}

    type: Literal["dataflow"] = "dataflow"
    language: LanguageName | None = Field(default=None, examples=["java"])
    """The language of all sources, or of those whose row names none."""
    language_column: str | None = Field(default=None, min_length=1, examples=["lang"])
    """The column that names the language of each row; `C++`, `py` and such names are understood."""
    max_nodes: int = Field(default=128, ge=1)
    """Maximum nodes per source; they come on top of `task.max_length`. What is beyond is cut, and
    counted."""

    @model_validator(mode="after")
    def _some_language(self) -> Dataflow:
        if self.language is None and self.language_column is None:
            raise conflict(
                "task.language_unclear",
                "'task.encoding' needs 'language' or 'language_column'",
                "give the one language of all sources, or the column that names it",
            )
        return self
