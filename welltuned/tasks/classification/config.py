"""The config of a text classification, and what it becomes when labels are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from welltuned.data.cells import split_names
from welltuned.data.dataflow.grammars import grammar_faults
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Role
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Fault, Faults
from welltuned.schema.part import conflict, conflict_of
from welltuned.tasks.base import Actions, Problem, Task
from welltuned.tasks.classification.class_weights import weights_of_classes
from welltuned.tasks.classification.columns import ROLES
from welltuned.tasks.classification.label_columns import LabelReader
from welltuned.tasks.classification.labels import Labels, find_labels
from welltuned.tasks.classification.multi_label import MultiLabel
from welltuned.tasks.classification.problem import ClassificationProblem
from welltuned.tasks.classification.regression import Regression
from welltuned.tasks.classification.rule_reading import read_class_rule, read_label_set_rule
from welltuned.tasks.classification.separate_pairs import Pairing, single_texts
from welltuned.tasks.classification.single_label import SingleLabel
from welltuned.tasks.dataflow import Dataflow
from welltuned.tasks.dataflow.column import languages_of, with_languages
from welltuned.tasks.long import TRUNCATE, AnyLongTexts, LongTexts

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
    """Class weights in the loss. auto: inversely proportional to class frequency; of several
    labels, a label's texts weigh as much as all others."""
    focal_gamma: float = Field(default=0.0, ge=0, le=10, examples=[2.0])
    """Focal loss: the loss of an answer of probability p counts (1 - p)^gamma times, so that what
    is right already counts less; 0 is cross-entropy."""
    temperature_scaling: bool = False
    """Whether, after training, logits are divided by the number that makes validation likeliest, so
    that probabilities can be believed; the likeliest label stays the same."""
    thresholds: Literal["half", "f1", "costs"] | dict[str, Annotated[float, Field(gt=0, lt=1)]] = (
        "half"
    )
    """Of several labels, the probability above which each is predicted. f1 and costs: tuned on
    validation after training, for each label's F1, or for the least cost by `task.costs`."""
    costs: dict[str, dict[str, Annotated[float, Field(ge=0)]]] = Field(
        default_factory=dict, examples=[{"fraud": {"honest": 20}}]
    )
    """Costs of errors, by true label and predicted label: the answer is the one of the least
    expected cost. Of several labels, by label and `false_negative` or `false_positive`. What is not
    named costs 1, and what is right nothing."""
    abstain_below: float | None = Field(default=None, gt=0, lt=1, examples=[0.7])
    """Of one label, the probability of the likeliest below which `predict` gives no answer."""
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
    encoding: Dataflow | None = Field(
        default=None, examples=[{"type": "dataflow", "language": "java"}]
    )
    """How texts are read, where they are more than text: `dataflow` for source code."""
    pair: Pairing = Field(default="together", examples=["separate"])
    """How the texts of a pair are read. together: as one row, whose tokens attend to one another;
    separate: each as a row of its own, with a head over both vectors, for likeness and clones."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens per example, special tokens included. auto: the model's own limit, at most 512."""
    long: AnyLongTexts = TRUNCATE
    """What is read of texts longer than `max_length`: the beginning, both ends, or all of it in
    windows."""

    @property
    def cutting(self) -> LongTexts:
        return self.long

    @model_validator(mode="before")
    @classmethod
    def _names_as_text(cls, values: Any) -> Any:
        """Keys such as 0 and 1 are numbers in YAML and text here."""
        if isinstance(values, dict):
            values = {**values, **_numbered(values.get("label_names"))}
            for key in ("label_names", "class_weights", "thresholds", "costs"):
                if isinstance(values.get(key), dict):
                    values = {**values, key: _by_text(values[key])}
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
        if self.thresholds == "costs" and not self.costs:
            raise conflict(
                "task.thresholds_without_costs",
                "'task.thresholds: costs' requires 'task.costs'",
                "say what a false_negative and a false_positive of a label cost, or use f1",
            )
        if self.encoding is not None and self.long != TRUNCATE:
            raise conflict(
                "task.long_with_encoding",
                "'task.long' says how texts are read, and so does 'task.encoding'",
                "remove one of the two",
            )
        if self.pair == "separate" and self.long.in_windows:
            raise conflict(
                "task.windows_of_separate_pairs",
                "'task.pair: separate' reads each text in one row, and not in windows",
                "set task.long to truncate or head_tail",
            )
        for fault in self._misfits(self.problem):
            raise conflict_of(fault)
        return self

    def _misfits(self, problem: str, label_smoothing: float = 0.0) -> Iterator[Fault]:
        """What is asked for that such a problem cannot do; nothing while that is `auto`."""
        if problem == "regression":
            yield from self._beyond_numbers()
        if problem == "single_label" and self.thresholds != "half":
            yield Fault(
                "task.thresholds_of_one_label",
                "'task.thresholds' requires several labels per text",
                None,
                "remove it; of one label, task.costs and task.abstain_below say what is answered",
            )
        if problem == "multi_label":
            yield from self._beyond_label_sets()
        if problem in ("multi_label", "regression") and label_smoothing:
            yield Fault(
                "task.label_smoothing_unsupported",
                "'training.label_smoothing_factor' only applies to {where}",
                None,
                "set it to 0",
                where="tasks with one label per text",
            )
        if problem == "single_label" and label_smoothing and self.focal_gamma:
            yield Fault(
                "task.focal_loss_with_smoothing",
                "'task.focal_gamma' and 'training.label_smoothing_factor' do not go together",
                None,
                "set one of them to 0",
            )

    def _beyond_numbers(self) -> Iterator[Fault]:
        if self.class_weights != "none":
            yield Fault(
                "task.class_weights_unsupported",
                "'task.class_weights' requires labels, and not numbers",
                None,
                "remove it",
            )
        asked = {
            "focal_gamma": self.focal_gamma > 0,
            "temperature_scaling": self.temperature_scaling,
            "thresholds": self.thresholds != "half",
            "costs": bool(self.costs),
            "abstain_below": self.abstain_below is not None,
        }
        for key in (name for name, wanted in asked.items() if wanted):
            yield Fault(
                "task.labels_required",
                "'task.{key}' requires labels, and not numbers",
                None,
                "remove it, or set task.problem to single_label or multi_label",
                key=key,
            )

    def _beyond_label_sets(self) -> Iterator[Fault]:
        if self.abstain_below is not None:
            yield Fault(
                "task.abstain_below_unsupported",
                "'task.abstain_below' requires one label per text",
                None,
                "remove it; of several labels, task.thresholds says what is predicted",
            )
        if self.costs and self.thresholds != "costs":
            yield Fault(
                "task.costs_without_thresholds",
                "of several labels, 'task.costs' only counts where thresholds are tuned for it",
                None,
                "set task.thresholds to costs",
            )

    def check_policy(self) -> None:
        if self.encoding is not None:
            raise conflict(
                "rlhf.encoding_unsupported",
                "a policy reads its prompts as they are, and not by 'task.encoding'",
                "remove task.encoding",
            )
        if self.problem not in ("auto", "single_label"):
            raise conflict(
                "rlhf.problem_unsupported",
                "a policy chooses one label, but 'task.problem' is {problem}",
                "use single_label",
                problem=self.problem,
            )
        if self.temperature_scaling or self.costs or self.abstain_below is not None:
            raise conflict(
                "rlhf.decision_rule_unsupported",
                "a policy answers by its own probabilities, and not by a decision rule",
                "remove task.temperature_scaling, task.costs and task.abstain_below",
            )
        if self.pair == "separate":
            raise conflict(
                "rlhf.separate_pairs_unsupported",
                "a policy reads what it answers in one row, and not two texts separately",
                "remove task.pair",
            )
        if self.long.in_windows:
            raise conflict(
                "rlhf.windows_unsupported",
                "a policy reads a text in one row, and not in windows",
                "set task.long to truncate or head_tail",
            )

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        table = LabelReader(self.problem, self.label_separator).convert(table, columns, faults)
        return with_languages(table, self.encoding, columns, faults)

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
        codec = PROBLEMS[labels.problem](labels).codec
        targets = {split: codec.read_targets(data[split], faults) for split in SPLITS}
        faults.extend(self._misfits(labels.problem, label_smoothing))
        problem = self._problem_of(labels, targets["train"], label_smoothing, faults)
        if self.encoding is not None:
            problem = replace(problem, encoding=self.encoding)
            faults.extend(self._unparsed(self.encoding, data))
        if self.pair == "separate":
            problem = replace(problem, pair=self.pair)
            faults.extend(single_texts(data[split] for split in SPLITS))
        if len(faults) > before:
            return None
        data.facts.task = problem.facts(targets)
        data.facts.notes += problem.label_notes(targets)
        return problem

    def _unparsed(self, encoding: Dataflow, data: DataSplits) -> Iterator[Fault]:
        """Why sources cannot be parsed here; asked before any weight is loaded."""
        yield from grammar_faults(
            language for split in SPLITS for language in languages_of(data[split], encoding)
        )

    def _problem_of(
        self, labels: Labels, train_targets: np.ndarray, label_smoothing: float, faults: Faults
    ) -> ClassificationProblem:
        names, gamma, scales = labels.names, self.focal_gamma, self.temperature_scaling
        if labels.problem == "regression":
            return Regression(labels, long=self.long)
        weights = weights_of_classes(self.class_weights, names, train_targets, faults)
        if labels.problem == "multi_label":
            several = read_label_set_rule(names, scales, self.thresholds, self.costs, faults)
            return MultiLabel(labels, weights, gamma, several, long=self.long)
        rule = read_class_rule(names, scales, self.costs, self.abstain_below, faults)
        return SingleLabel(labels, weights, label_smoothing, gamma, rule, long=self.long)

    @classmethod
    def restore(cls, memory: Mapping[str, Any]) -> Problem:
        labels = Labels.from_dict(memory["labels"])
        problem = PROBLEMS[labels.problem].restored(labels, memory)
        if (told := memory.get("encoding")) is not None:
            problem = replace(problem, encoding=Dataflow(**told))
        return replace(problem, pair=memory.get("pair", "together"))


def _numbered(names: Any) -> dict[str, Any]:
    """A list of names, or names with commas between them, by their numbers from 0."""
    listed = split_names(names) if isinstance(names, str) else names
    return {"label_names": dict(enumerate(listed))} if isinstance(listed, list) else {}


def _by_text(named: dict[Any, Any]) -> dict[str, Any]:
    """A mapping, and those in it, with text as keys."""
    return {
        str(name): _by_text(value) if isinstance(value, dict) else value
        for name, value in named.items()
    }
