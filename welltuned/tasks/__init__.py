"""Problems to solve. To add one: a file with a config and its bound problem, and one line here."""

from welltuned.tasks.base import Examples, Problem, Task
from welltuned.tasks.classification import Classification, ClassificationProblem

AnyTask = Classification
"""The union of all tasks' configs, told apart by `type`."""

PROBLEMS: dict[str, type[ClassificationProblem]] = {"classification": ClassificationProblem}
"""What an artifact's `type` is restored with."""

__all__ = ["PROBLEMS", "AnyTask", "Classification", "ClassificationProblem", "Examples", "Problem", "Task"]
