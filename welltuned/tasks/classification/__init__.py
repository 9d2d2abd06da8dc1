"""Text classification: one label, several labels or a number; for one text or a pair."""

from welltuned.tasks.classification.config import Classification
from welltuned.tasks.classification.labels import Labels
from welltuned.tasks.classification.multi_label import MultiLabel
from welltuned.tasks.classification.problem import ClassificationProblem
from welltuned.tasks.classification.regression import Regression
from welltuned.tasks.classification.single_label import SingleLabel

__all__ = [
    "Classification",
    "ClassificationProblem",
    "Labels",
    "MultiLabel",
    "Regression",
    "SingleLabel",
]
