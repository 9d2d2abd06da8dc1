"""Problems to solve. To add one: a file with a config and its bound problem, and one line here."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from welltuned.tasks.base import Examples, Problem, Task
from welltuned.tasks.classification import Classification, ClassificationProblem
from welltuned.tasks.generation import Generation, GenerationProblem
from welltuned.tasks.preference import Preference, PreferenceProblem
from welltuned.tasks.reward import Reward, RewardProblem
from welltuned.tasks.token_classification import TokenClassification, TokenClassificationProblem


def _classification_unless_told(values: Any) -> Any:
    return {"type": "classification", **values} if isinstance(values, dict) else values


AnyTask = Annotated[
    Classification | TokenClassification | Generation | Reward | Preference,
    Field(discriminator="type"),
    BeforeValidator(_classification_unless_told),
]
"""The union of all tasks' configs, told apart by `type`; without one it is classification."""

PROBLEMS: dict[str, Any] = {
    problem.type: problem
    for problem in (
        ClassificationProblem,
        TokenClassificationProblem,
        GenerationProblem,
        RewardProblem,
    )
}
"""What an artifact's `type` is restored with."""

__all__ = [
    "PROBLEMS",
    "AnyTask",
    "Classification",
    "ClassificationProblem",
    "Examples",
    "Generation",
    "GenerationProblem",
    "Preference",
    "PreferenceProblem",
    "Problem",
    "Reward",
    "RewardProblem",
    "Task",
    "TokenClassification",
    "TokenClassificationProblem",
]
