"""Tasks: each a config that, bound to data, becomes a problem of small parts with one role each.

To add one: a file or folder with a config and its problem, and its line in `_BUILT_IN`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Field

from welltuned.data.records import Records
from welltuned.tasks.base import Actions, Problem, Task
from welltuned.tasks.classification import Classification, ClassificationProblem
from welltuned.tasks.examples import Examples
from welltuned.tasks.generation import Generation, GenerationProblem
from welltuned.tasks.parts import (
    Codec,
    LinearReadout,
    Objective,
    Presenter,
    Prompter,
    Responder,
    Scorer,
    Verdict,
)
from welltuned.tasks.preference import Preference, PreferenceProblem
from welltuned.tasks.reward import Reward, RewardProblem
from welltuned.tasks.token_classification import TokenClassification, TokenClassificationProblem

_BUILT_IN: tuple[type[Task], ...] = (
    Classification,
    TokenClassification,
    Generation,
    Reward,
    Preference,
)

TASKS: dict[str, type[Task]] = {task.name(): task for task in _BUILT_IN}
"""By their names in configs."""


def _default_unless_told(values: Any) -> Any:
    return {"type": _BUILT_IN[0].name(), **values} if isinstance(values, dict) else values


if TYPE_CHECKING:
    AnyTask = Task
else:
    AnyTask = Annotated[
        Union[*TASKS.values()],
        Field(discriminator="type"),
        BeforeValidator(_default_unless_told),
    ]
    """The union of all tasks' configs, told apart by `type`; without one it is the first."""


DEFAULT_TASK: Task = Classification()
"""The task where nothing is said."""
JUDGE_TASK: Task = Reward()
"""What a reward model is trained as where nothing else is said."""
TEXT_TASK: Task = Generation()
"""How plain texts and conversations are read where a language model's own loss is asked for."""


def restore_problem(memory: Mapping[str, object]) -> Problem:
    """The problem an artifact remembers, from `Problem.to_dict`.

    Raises `ValueError` or `KeyError` for what is none.
    """
    name = str(memory["type"])
    if name not in TASKS:
        raise ValueError(f"there is no task '{name}'")
    return TASKS[name].restore(memory)


def language_modelling(records: Records) -> Problem:
    """The problem of foretelling some texts or conversations, as a language model does by itself.

    `records` are those of generation.
    """
    return GenerationProblem(Generation(), "plain").reading(records)


__all__ = [
    "DEFAULT_TASK",
    "JUDGE_TASK",
    "TASKS",
    "TEXT_TASK",
    "Actions",
    "AnyTask",
    "Classification",
    "ClassificationProblem",
    "Codec",
    "Examples",
    "Generation",
    "GenerationProblem",
    "LinearReadout",
    "Objective",
    "Preference",
    "PreferenceProblem",
    "Presenter",
    "Problem",
    "Prompter",
    "Responder",
    "Reward",
    "RewardProblem",
    "Scorer",
    "Task",
    "TokenClassification",
    "TokenClassificationProblem",
    "Verdict",
    "language_modelling",
    "restore_problem",
]
