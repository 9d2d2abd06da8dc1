"""What a task is: a config that, bound to data, becomes a problem.

A `Task` is config. Bound to data it becomes a `Problem`: what an artifact has to remember, and
four parts with one role each (`parts`). Engines, evaluation and files know problems by their
parts and traits alone; tasks know nothing of strategies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, JsonValue

from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records, Role
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.schema.part import Part, conflict
from welltuned.tasks.label_flags import LabelFlags
from welltuned.tasks.long import TRUNCATE, LongTexts
from welltuned.tasks.parts import (
    Codec,
    LinearReadout,
    Objective,
    Presenter,
    Prompter,
    Scorer,
    Verdict,
)
from welltuned.tasks.responder import Responder

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

OutputsOf = Callable[[str], tuple[np.ndarray, np.ndarray]]
"""Gives (outputs, targets) of a split, by its name."""
Actions = Literal["label", "text"]
"""What a policy chooses: one of the problem's labels, or the tokens of a text."""


class Task(Part):
    """The base of all tasks' configs."""

    shorthand: ClassVar[str | None] = "type"
    roles: ClassVar[tuple[Role, ...]]
    actions: ClassVar[Actions | None] = None
    """What a policy of this task chooses in reinforcement learning; None where it cannot be one."""
    proposed_kind: ClassVar[Literal["encoder", "decoder"]] = "encoder"
    """The kind of base model that is proposed where none is named."""
    pooling: str = "model"
    """Pooling of the head's input; only tasks with a new head over pooled states have a choice."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Maximum tokens per example, special tokens included. auto: the model's limit, at most 512."""

    type: str

    @classmethod
    def name(cls) -> str:
        """The task's name in configs."""
        return str(cls.model_fields["type"].default)

    @property
    def cutting(self) -> LongTexts:
        """How texts longer than `max_length` are read; only some tasks have a choice."""
        return TRUNCATE

    @property
    def shares_rows(self) -> bool:
        """Whether several examples may stand in one row."""
        return False

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """The user's columns as the roles expect them, where a file's format is more than columns.

        `columns` is the user's mapping from role to column.
        """
        return table

    def check_policy(self) -> None:
        """Raise a `conflict` where a model of this task cannot be a policy."""
        if self.actions is None:
            raise conflict(
                "rlhf.task_unsupported",
                "a policy cannot do {task}",
                "set task to classification or generation",
                task=self.type.replace("_", " "),
            )

    def bind(self, data: DataSplits, label_smoothing: float, faults: Faults) -> Problem | None:
        """The problem that the data pose, with its facts noted beside them.

        None when there were faults; they are recorded.
        """
        problem = self.find_problem(data, label_smoothing, faults)
        if problem is not None:
            data.facts.task["predictions"] = problem.scorer.family.name
        return problem

    def for_family(self, problem: Problem, base: PreTrainedConfig) -> Problem:
        """The problem as the models of a family pose it, found before any of their parts is.

        Raises `InputError` where what the config asks for is not to be had of them.
        """
        return problem

    @abstractmethod
    def find_problem(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> Problem | None:
        """Find the labels in the data, and note them in `data.facts.task`.

        None when there were faults; they are recorded.
        """

    @classmethod
    def restore(cls, memory: Mapping[str, object]) -> Problem:
        """The problem an artifact remembers, from `Problem.to_dict`. Raises `ValueError`."""
        raise ValueError(f"no artifact holds a problem of the task '{cls.name()}'")


def is_smoothed(label_smoothing: float, faults: Faults) -> bool:
    """Whether label smoothing is asked for where there are no classes; then that is recorded."""
    if label_smoothing:
        faults.add(
            "task.label_smoothing_unsupported",
            "'training.label_smoothing_factor' only applies to {where}",
            None,
            "set it to 0",
            where="classification",
        )
    return bool(label_smoothing)


class Problem(ABC):
    """A task bound to its data: what an artifact remembers, and the parts that follow from it."""

    type: ClassVar[str]
    """The task's name in configs."""
    peft_task_type: ClassVar[str]
    """What PEFT calls it."""
    auto_class: ClassVar[str]
    """The auto class of transformers that loads its models."""
    usage: ClassVar[str] = 'predict(["some text"])'
    """How a tuned model is asked in Python, for people."""
    has_new_head: ClassVar[bool] = True
    """Whether the head is trained from nothing, and not the model's own."""
    supports_replay: ClassVar[bool] = True
    """Whether replay examples can be mixed into what is learned."""
    actions: ClassVar[Actions | None] = None
    """What the tuned model chooses as a policy; None where it cannot be one."""
    long: LongTexts = TRUNCATE
    """How long texts are read."""

    @property
    @abstractmethod
    def codec(self) -> Codec: ...

    @property
    @abstractmethod
    def objective(self) -> Objective: ...

    @property
    @abstractmethod
    def scorer(self) -> Scorer: ...

    @property
    @abstractmethod
    def presenter(self) -> Presenter[Any]: ...

    @property
    def responder(self) -> Responder | None:
        """Who answers in free text; None where the outputs say everything."""
        return None

    @property
    def prompter(self) -> Prompter | None:
        """How a policy that chooses text is asked; None for others."""
        return None

    @property
    def linear(self) -> LinearReadout | None:
        """How a linear map answers; None where none can."""
        return None

    @property
    def label_flags(self) -> LabelFlags | None:
        """How labels say which texts are alike; None where answers are no labels of texts."""
        return None

    @property
    def verdict(self) -> Verdict | None:
        """How outputs serve as a reward; None where they cannot."""
        return None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes in order; none where answers are not classes."""
        return ()

    @property
    def label_keys(self) -> tuple[str, ...]:
        """Each of `labels` as it is written in the data."""
        return self.labels

    @property
    def title(self) -> str:
        """What people call the task."""
        return self.type.replace("_", " ")

    @abstractmethod
    def to_dict(self) -> dict[str, JsonValue]:
        """What the artifact must remember to predict again; `type` is the task's name."""

    # --- From one state to the next ---

    def measured(self, outputs_of: OutputsOf) -> Self:
        """After training, before `finish`: note what the tuned model makes of its own data.

        Returns the problem to go on with.
        """
        return self

    def without_rule(self) -> Self:
        """The problem whose answers are the likeliest, whatever decision rule was asked for."""
        return self

    def finish(self, model: nn.Module) -> Self:
        """After training: fold into the weights what plain libraries would not do.

        Returns the problem to go on with.
        """
        return self

    def saved_as(
        self, tokenizer: PreTrainedTokenizerBase, records: Records
    ) -> tuple[Problem, Records]:
        """The problem that the artifact is for, and records as that one reads them."""
        return self, records

    def reading(self, records: Records) -> Problem:
        """The same problem for records that may be written in another style, such as replay."""
        return self
