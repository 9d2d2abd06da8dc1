"""What `welltuned data suspects` and `welltuned data next` are asked, besides data and model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from welltuned.data.config import DataConfig
from welltuned.schema.part import Part


class SuspectsSettings(Part):
    """How labels are checked."""

    folds: int = Field(default=5, ge=2)
    """Every label is judged by a model that has learned from the other folds."""
    test: bool = False
    """Whether the labels of the test split are checked too. Correct those without looking at what
    is suggested: else the test split agrees with the model for that alone."""
    folder: str | None = Field(default=None, examples=["suspects/mine"])
    """The output folder. Default: suspects/DATA-N."""


class NextSettings(Part):
    """Which texts are to be chosen from, and how many."""

    data: DataConfig
    """The unlabelled texts."""
    n: int = Field(default=100, ge=1)
    """How many texts to choose."""
    file: str = "to_label.csv"
    """The table of them that is written."""


def part_arguments(
    file: str | None, arguments: Sequence[str]
) -> tuple[str | None, list[str], list[str]]:
    """A config file, what else concerns the run, and what concerns the check of its labels.

    A file that is no config is one of data.
    """
    own = SuspectsSettings.model_fields
    ours = [one for one in arguments if one.partition("=")[0] in own]
    rest = [one for one in arguments if one not in ours]
    if file is not None and Path(file).suffix not in (".yaml", ".yml"):
        return None, [f"data.train={file}", *rest], ours
    return file, rest, ours
