"""A number to a text: least squares on standardised targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.errors import Fault, Faults, InputError
from welltuned.metrics import NumberPredictions, Predictions, Scores
from welltuned.tasks.classification.labels import Labels, read_numbers
from welltuned.tasks.classification.problem import (
    ClassificationProblem,
    PooledObjective,
    TextCodec,
)
from welltuned.tasks.examples import Examples
from welltuned.tasks.long import recalled_long_texts
from welltuned.tasks.parts import LinearReadout, Presenter, Scorer, Verdict

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import Ridge
    from torch import nn
    from transformers import PreTrainedConfig

    from welltuned.tasks.parts import Batch


@dataclass(frozen=True)
class Scale:
    """What outputs are multiplied by, and what is added, to be in the user's units."""

    factor: float = 1.0
    shift: float = 0.0

    def values(self, outputs_N1: np.ndarray) -> np.ndarray:
        """Numbers (N, float64) in the user's units."""
        return outputs_N1[:, 0].astype(np.float64) * self.factor + self.shift


@dataclass(frozen=True)
class Regression(ClassificationProblem):
    """A number to a text."""

    folded: bool = False
    """Whether the head already speaks in the user's units, as it does after `finish`."""

    @property
    def scale(self) -> Scale:
        """Of the head's outputs as they are now."""
        if self.folded:
            return Scale()
        return Scale(self.labelling.deviation, self.labelling.mean)

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    @property
    def codec(self) -> NumberCodec:
        return NumberCodec(self.labelling, self.long, self.encoding, self.pair)

    @property
    def objective(self) -> LeastSquares:
        return LeastSquares(self.labelling, long=self.long, pair=self.pair)

    @property
    def scorer(self) -> NumberScorer:
        return NumberScorer(self.scale)

    @property
    def presenter(self) -> NumberPresenter:
        return NumberPresenter(self.scale)

    @property
    def linear(self) -> LinearReadout:
        return NumberReadout(self.labelling.mean, self.labelling.deviation, self.scale)

    @property
    def verdict(self) -> Verdict:
        return NumberVerdict(self.scale)

    def facts(self, targets: Mapping[str, np.ndarray]) -> dict[str, object]:
        labels = self.labelling
        return {
            "problem": labels.problem,
            "labels": list(labels.names),
            "targets": {split: spread(numbers_N) for split, numbers_N in targets.items()},
        }

    def finish(self, model: nn.Module) -> Self:
        """Let the head's last layer speak in the user's units: w·σ, b·σ + μ."""
        if self.folded:
            return self
        from welltuned.models.scalar_head import fold, scalar_layer

        layer = scalar_layer(model, 1 + len(self.long.further_outputs))
        fold(layer, self.labelling.deviation, self.labelling.mean)
        return replace(self, folded=True)

    def to_dict(self) -> dict[str, JsonValue]:
        return {**super().to_dict(), "folded": self.folded}

    @classmethod
    def restored(cls, labels: Labels, memory: Mapping[str, Any]) -> Self:
        return cls(labels, folded=memory["folded"], long=recalled_long_texts(memory))


def spread(numbers_N: np.ndarray) -> dict[str, float]:
    """Mean, deviation and extremes of some targets."""
    return {
        "mean": float(numbers_N.mean()),
        "deviation": float(numbers_N.std()),
        "least": float(numbers_N.min()),
        "greatest": float(numbers_N.max()),
    }


@dataclass(frozen=True)
class NumberCodec(TextCodec):
    """Targets are numbers (N, float32)."""

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return read_numbers(records, faults)


@dataclass(frozen=True)
class LeastSquares(PooledObjective):
    """Of standardised targets."""

    problem_type: ClassVar[str] = "regression"

    def check_own_head(self, base: PreTrainedConfig) -> None:
        from welltuned.models.anatomy import kind_of

        if kind_of(base) == "decoder":
            raise InputError(
                Fault(
                    "task.head_without_bias",
                    "the classification head of '{family}' has no bias, which regression needs",
                    None,
                    "use task.pooling=last",
                    family=base.model_type,
                )
            )

    def initialise(self, model: nn.Module, new: Sequence[str], seed: int) -> None:
        """A head that was kept says numbers in the user's units; here they are standardised."""
        from welltuned.models.scalar_head import unfold_kept

        outputs = 1 + len(self.long.further_outputs)
        unfold_kept(model, new, self.labels.deviation, self.labels.mean, outputs)

    def loss_sum(self, outputs_BK: torch.Tensor, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        wanted_B = (batch["labels"] - self.labels.mean) / self.labels.deviation
        return functional.mse_loss(outputs_BK.squeeze(-1), wanted_B, reduction="sum")


@dataclass(frozen=True)
class NumberScorer(Scorer):
    """Of numbers in the user's units."""

    scale: Scale

    @property
    def family(self) -> type[Predictions]:
        return NumberPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> NumberPredictions:
        return NumberPredictions(targets, self.scale.values(outputs_NK))

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        """The mean of the training targets, whatever the text."""
        mean = (train_targets.mean() - self.scale.shift) / self.scale.factor
        return self.score(np.full((len(targets), 1), mean), targets)


class NumberAnswer(TypedDict):
    """One text's number, in the user's units."""

    prediction: float


@dataclass(frozen=True)
class NumberPresenter(Presenter[np.float32]):
    """The number."""

    scale: Scale

    def headline(self, facts: Mapping[str, object]) -> str:
        return "regression"

    def describe(self, outputs_NK: np.ndarray) -> list[NumberAnswer]:
        return [{"prediction": float(value)} for value in self.scale.values(outputs_NK)]

    def target_of(self, target: np.float32) -> float:
        return float(target)


@dataclass(frozen=True)
class NumberReadout(LinearReadout):
    """Standardised numbers; ridge regression on word counts."""

    mean: float
    deviation: float
    scale: Scale

    def targets(self, examples: Examples) -> np.ndarray:
        assert examples.targets is not None
        return self.estimator_targets(examples.targets)[:, None]

    def right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return -((self.scale.values(outputs) - targets) ** 2)

    def estimator(self, strength: float) -> Ridge:
        from sklearn.linear_model import Ridge

        return Ridge(alpha=1 / strength)

    def estimator_targets(self, targets: np.ndarray) -> np.ndarray:
        return (targets - self.mean) / self.deviation

    def estimator_outputs(self, estimator: Ridge, features: csr_matrix) -> np.ndarray:
        return estimator.predict(features).reshape(-1, 1)


@dataclass(frozen=True)
class NumberVerdict(Verdict):
    """The number itself."""

    scale: Scale

    def rewards(self, outputs_NK: np.ndarray, label: int) -> np.ndarray:
        return self.scale.values(outputs_NK)
