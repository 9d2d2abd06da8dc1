"""Classes in an order, such as stars: a prediction is worse the further off it is.

The loss is the squared earth mover's distance of two distributions over the classes, which is
that of their cumulative sums (Hou et al. 2016, arXiv 1611.05916).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from welltuned.data.load_splits import DataSplits
from welltuned.errors import Faults
from welltuned.tasks import Actions, Classification, Problem, Task
from welltuned.tasks.classification.labels import Labels
from welltuned.tasks.classification.single_label import CrossEntropy, SingleLabel

if TYPE_CHECKING:
    import torch


class EarthMover(CrossEntropy):
    """Squared differences of cumulative probabilities, summed over classes and texts."""

    def loss_sum(self, outputs_BK: torch.Tensor, batch: Any) -> torch.Tensor:
        true_BK = outputs_BK.new_zeros(outputs_BK.shape)
        true_BK.scatter_(1, batch["labels"][:, None], 1 - self.label_smoothing)
        true_BK += self.label_smoothing / true_BK.shape[1]
        return (outputs_BK.softmax(1) - true_BK).cumsum(1).square().sum()


class OrdinalProblem(SingleLabel):
    """One of several classes that have an order: numeric, else alphabetical."""

    type: ClassVar[str] = "ordinal"

    @property
    def objective(self) -> EarthMover:
        return EarthMover(self.labelling, label_smoothing=self.label_smoothing)


class OrdinalClassification(Task):
    """Say which of several ordered classes a text belongs to."""

    roles = Classification.roles
    actions: ClassVar[Actions | None] = "label"

    type: Literal["ordinal"] = "ordinal"
    pooling: Literal["auto", "model", "first", "mean", "last"] = "auto"

    def find_problem(self, data: DataSplits, smoothing: float, faults: Faults) -> Problem | None:
        classes = Classification(problem="single_label").find_problem(data, smoothing, faults)
        return None if classes is None else OrdinalProblem(classes.labelling, None, smoothing)

    @classmethod
    def restore(cls, memory: Mapping[str, Any]) -> Problem:
        return OrdinalProblem(Labels.from_dict(memory["labels"]))
