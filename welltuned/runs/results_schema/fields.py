"""Field types of results files: configs, numbers and scores."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, GetPydanticSchema, JsonValue, with_config
from typing_extensions import TypeAliasType, TypedDict

Config = Annotated[
    dict[str, Any], GetPydanticSchema(lambda _, handler: handler(dict[str, JsonValue]))
]
"""A config, or a part of one, as its file would hold it."""

CLOSED = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""No field without documentation."""
OPEN = ConfigDict(extra="allow", use_attribute_docstrings=True)

Number = Annotated[float, GetPydanticSchema(lambda _, handler: handler(float | None))]
"""A number; one that is not finite is null in files."""


@with_config(CLOSED)
class ClassScores(TypedDict):
    """How well one class, or one type of entity, is recognised."""

    precision: Number
    """Of the examples that were given the class, the share that has it."""
    recall: Number
    """Of the examples that have the class, the share that was given it."""
    f1: Number
    """The harmonic mean of precision and recall."""
    support: int
    """How many examples have the class."""


Score = TypeAliasType(
    "Score",
    Annotated[
        float | int | list[float | None] | list[list[int]] | dict[str, ClassScores] | None,
        Field(
            description="A number, the two ends of an interval, a confusion matrix (rows are true "
            "classes, columns predicted ones), or scores by class."
        ),
    ],
)
Scores = Annotated[dict[str, Any], GetPydanticSchema(lambda _, handler: handler(dict[str, Score]))]
"""Scores by name. `NAME_ci95` is the 95% interval of NAME, from resampled examples. Which scores
there are is up to the task: for one label `accuracy`, `macro_f1`, `calibration_error`, `log_loss`,
`per_class`, `classes_predicted` and `confusion`."""
Baselines = dict[str, Scores]
"""Scores by name of the baseline: `majority`, `untrained`, `longer`, `likelier`, and for a policy
`sft`."""
