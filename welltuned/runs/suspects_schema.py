"""Suspects schema: every field of `suspects.json`, the labels of a data set that are to be checked.

SUSPECTS/  suspects.json   labels to check, and near-duplicates that bear different labels
           suspects.csv    the same to be corrected, for `data.corrections`
           report.html     one file, no network
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

from welltuned.schema.versions import SUSPECTS

Label = str | list[str]
"""One label, or several."""


class Suspect(TypedDict):
    """An example whose label is to be checked."""

    id: str
    """Its own id, or file and line."""
    label: Label
    """The label that it has."""
    suggested: Label
    """The label that is believed instead."""
    probability: float
    """Of the label that it has; where there are several, of the most doubtful one."""
    suggested_probability: float
    """Of what is believed instead."""
    inputs: dict[str, str]
    """What the model read, by role."""


class NearTwin(TypedDict):
    """One of two near-duplicates that bear different labels."""

    id: str
    """Its own id, or file and line."""
    label: Label
    """Its label."""
    inputs: dict[str, str]
    """What the model read, by role."""


class TwinPair(TypedDict):
    """Two near-duplicates that bear different labels."""

    one: NearTwin
    """The earlier one."""
    other: NearTwin
    """The later one."""
    similarity: float
    """The share of their pieces that both have; 1 for the same text."""


class SuspectsFile(TypedDict):
    """`suspects.json`: labels to check, the most doubtful first."""

    data: str
    """What was checked."""
    model: str
    """The pretrained model."""
    language: str
    """The report's."""
    judged_by: list[str]
    """Whose probabilities were averaged."""
    folds: int | None
    """How many folds the judges were fitted on; null where they had never seen the examples."""
    splits: list[str]
    """The splits whose labels were checked."""
    examples: int
    """How many labels were checked."""
    metric: str
    """What the judges together are scored by..."""
    score: float
    """... on labels that they did not learn from, as these are given."""
    expected: float
    """How many labels are wrong, as confident learning estimates it."""
    suspects: list[Suspect]
    """Labels to check."""
    near_duplicates: list[TwinPair]
    """Near-duplicates that bear different labels, the most alike first."""
    command: str | None
    """What trains on the corrected file."""


def read_suspects(folder: Path) -> SuspectsFile:
    """suspects.json of a folder. Raises `InputError` where it is damaged or newer."""
    return cast(SuspectsFile, SUSPECTS.read(folder / "suspects.json"))


def stamped(found: SuspectsFile) -> Mapping[str, object]:
    """What the file holds, its version before everything else."""
    return SUSPECTS.stamp(cast(Mapping[str, object], found))
