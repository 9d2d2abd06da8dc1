"""The config of a text classification, and what it becomes when labels are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from welltuned.data.cells import split_names
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Role
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults
from welltuned.schema.part import conflict
from welltuned.tasks.base import Actions, Problem, Task
from welltuned.tasks.classification.columns import ROLES
from welltuned.tasks.classification.label_columns import LabelReader
from welltuned.tasks.classification.labels import Labels, find_labels
from welltuned.tasks.classification.multi_label import MultiLabel
from welltuned.tasks.classification.problem import ClassificationProblem
from welltuned.tasks.classification.regression import Regression
from welltuned.tasks.classification.single_label import SingleLabel

PROBLEMS: dict[str, type[ClassificationProblem]] = {
    "single_label": SingleLabel,
    "multi_label": MultiLabel,
    "regression": Regression,
}
"""By what labels are."""


class Classification(Task):
    """Text classification, with one label or several, or regression to a number."""

    roles: ClassVar[tuple[Role, ...]] = ROLES
    actions: ClassVar[Actions | None] = "label"

    type: Literal["classification"] = "classification"
    problem: Literal["auto", "single_label", "multi_label", "regression"] = "auto"
    """auto: multi_label for lists of labels, regression for fractions, else single_label; what is
    picked is said."""
    pooling: Literal["auto", "model", "first", "mean", "last"] = "auto"
    """Pooling of the head's input. auto: as the model was trained, else by a quick linear probe;
    model: the family's own head."""
    class_weights: Literal["none", "auto"] | dict[str, float] = "none"
    """Class weights in the loss. auto: inversely proportional to class frequency."""
    label_separator: str | None = Field(default=None, min_length=1, examples=["|"])
    """The separator of several labels in one cell, such as `|`."""
    label_names: dict[str, str] = Field(
        default_factory=dict, examples=[{"0": "negative", "1": "positive"}]
    )
    """Display names of labels: {0: negative, 1: positive}, or a list in the order of numbers from
    0."""
    merge_spellings: bool | None = None
    """Whether labels that differ only in case, or in signs nobody sees, are one label. By default
    they are asked about."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens per example, special tokens included. auto: the model's own limit, at most 512."""

    @model_validator(mode="before")
    @classmethod
    def _names_as_text(cls, values: Any) -> Any:
        """Keys such as 0 and 1 are numbers in YAML and text here."""
        if isinstance(values, dict):
            values = {**values, **_numbered(values.get("label_names"))}
            for key in ("label_names", "class_weights"):
                if isinstance(values.get(key), dict):
                    values = {
                        **values,
                        key: {str(name): value for name, value in values[key].items()},
                    }
        return values

    @model_validator(mode="after")
    def _sensible(self) -> Classification:
        if self.max_length != "auto" and self.max_length < 4:
            raise conflict(
                "task.max_length_too_small",
                "'task.max_length' leaves no room for {unit}",
                "use 16 or more",
                unit="text",
            )
        if self.class_weights != "none" and self.problem in ("multi_label", "regression"):
            raise conflict(
                "task.class_weights_unsupported",
                "'task.class_weights' requires one label per text",
                "remove it",
            )
        return self

    def check_policy(self) -> None:
        if self.problem not in ("auto", "single_label"):
            raise conflict(
                "rlhf.problem_unsupported",
                "a policy chooses one label, but 'task.problem' is {problem}",
                "use single_label",
                problem=self.problem,
            )

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return LabelReader(self.problem, self.label_separator).convert(table, columns, faults)

    def find_problem(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> ClassificationProblem | None:
        before = len(faults)
        labels = find_labels(
            data,
            self.problem,
            self.label_separator,
            self.label_names,
            faults,
            self.merge_spellings,
        )
        if labels is None or len(faults) > before:
            return None
        problem = PROBLEMS[labels.problem](labels)
        targets = {split: problem.codec.read_targets(data[split], faults) for split in SPLITS}
        if isinstance(problem, SingleLabel):
            weights = self._weights(labels.names, targets["train"], faults)
            problem = SingleLabel(labels, weights, label_smoothing)
        elif self.class_weights != "none":
            faults.add(
                "task.class_weights_unsupported",
                "'task.class_weights' requires one label per text",
                None,
                "remove it",
            )
        if len(faults) > before:
            return None
        data.facts.task = problem.facts(targets)
        data.facts.notes += problem.label_notes(targets)
        if label_smoothing and not isinstance(problem, SingleLabel):
            faults.add(
                "task.label_smoothing_unsupported",
                "'training.label_smoothing_factor' only applies to {where}",
                None,
                "set it to 0",
                where="tasks with one label per text",
            )
            return None
        return problem

    def _weights(
        self, names: tuple[str, ...], targets_N: np.ndarray, faults: Faults
    ) -> tuple[float, ...] | None:
        if self.class_weights == "none":
            return None
        if self.class_weights == "auto":
            counts = np.bincount(targets_N, minlength=len(names))
            weights = len(targets_N) / (len(counts) * np.maximum(counts, 1))
            return tuple(float(weight) for weight in weights)
        missing = set(names) ^ set(self.class_weights)
        if missing:
            faults.add(
                "task.class_weights_differ_from_labels",
                "'task.class_weights' and the labels differ in {differing}",
                None,
                "give a weight for each of: {labels}",
                differing=sorted(missing),
                labels=", ".join(names),
            )
            return None
        return tuple(self.class_weights[name] for name in names)

    @classmethod
    def restore(cls, memory: Mapping[str, Any]) -> Problem:
        labels = Labels.from_dict(memory["labels"])
        return PROBLEMS[labels.problem].restored(labels, memory)


def _numbered(names: Any) -> dict[str, Any]:
    """A list of names, or names with commas between them, by their numbers from 0."""
    listed = split_names(names) if isinstance(names, str) else names
    return {"label_names": dict(enumerate(listed))} if isinstance(listed, list) else {}
