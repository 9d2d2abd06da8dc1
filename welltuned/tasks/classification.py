"""Text classification: one label, several labels or a number; for one text or a pair."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from welltuned.data.encoding import encode_texts, pad
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS
from welltuned.errors import Faults
from welltuned.schema.document import conflict
from welltuned.tasks.base import Examples, Problem, Task
from welltuned.tasks.labels import Labels, ProblemType, find_labels

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.loading import Head
    from welltuned.tasks.base import Batch

_TEXT = (
    "text",
    "sentence",
    "sentence1",
    "text_a",
    "premise",
    "question1",
    "content",
    "review",
    "comment",
    "body",
    "document",
    "tweet",
    "message",
    "code",
    "func",
    "question",
    "query",
    "title",
    "prompt",
    "input",
)
_PAIR = ("text_b", "text_pair", "sentence2", "hypothesis", "question2")
_LABEL = (
    "label",
    "labels",
    "class",
    "category",
    "target",
    "sentiment",
    "polarity",
    "topic",
    "intent",
    "stars",
    "rating",
    "score",
    "y",
)


class Classification(Task):
    """Say which class a text belongs to, which classes, or what number it has."""

    roles: ClassVar[tuple[Role, ...]] = (
        Role("text", _TEXT, is_input=True),
        Role("text_pair", _PAIR, required=False, is_input=True),
        Role("label", _LABEL, is_target=True),
        Role("id", ("id", "idx", "guid", "uid"), required=False),
        Role("group", (), required=False),
    )

    type: Literal["classification"] = "classification"
    problem: Literal["auto", "single_label", "multi_label", "regression"] = "auto"
    """auto: lists of labels mean several labels, fractions mean a number,
    anything else one label."""
    pooling: Literal["auto", "model", "first", "mean", "last"] = "auto"
    """What the head reads. auto: as the model was trained, else what a quick probe prefers;
    model: the family's own head."""
    class_weights: Literal["none", "auto"] | dict[str, float] = "none"
    """Weights of the classes in the loss. auto: inversely to their frequency."""
    label_separator: str | None = Field(default=None, examples=["|"])
    """What separates several labels in one cell, such as `|`."""
    label_names: dict[str, str] = Field(
        default_factory=dict, examples=[{"0": "negative", "1": "positive"}]
    )
    """Names to show for labels: {0: negative, 1: positive}."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens per example, special tokens included. auto: what the model takes, at most 512."""

    @model_validator(mode="before")
    @classmethod
    def _names_as_text(cls, values: Any) -> Any:
        """Keys such as 0 and 1 are numbers in YAML and text here."""
        if isinstance(values, dict):
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
            raise conflict("'task.max_length' leaves no room for text", "use 16 or more")
        if self.class_weights != "none" and self.problem in ("multi_label", "regression"):
            raise conflict("'task.class_weights' goes with one label per text", "remove it")
        return self

    def bind(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> ClassificationProblem | None:
        before = len(faults)
        labels = find_labels(data, self.problem, self.label_separator, self.label_names, faults)
        if labels is None or len(faults) > before:
            return None
        targets = {split: labels.read(data[split], faults) for split in SPLITS}
        weights = self._weights(labels, targets["train"], faults)
        if len(faults) > before:
            return None
        _describe_labels(labels, targets, data)
        if label_smoothing and labels.problem != "single_label":
            faults.add(
                "'training.label_smoothing_factor' goes with one label per text",
                None,
                "set it to 0",
            )
            return None
        return ClassificationProblem(labels, weights, label_smoothing)

    def _weights(
        self, labels: Labels, targets: np.ndarray, faults: Faults
    ) -> tuple[float, ...] | None:
        if self.class_weights == "none":
            return None
        if labels.problem != "single_label":
            faults.add("'task.class_weights' goes with one label per text", None, "remove it")
            return None
        if self.class_weights == "auto":
            counts = np.bincount(targets, minlength=len(labels.names))
            return tuple(
                float(weight) for weight in len(targets) / (len(counts) * np.maximum(counts, 1))
            )
        missing = set(labels.names) ^ set(self.class_weights)
        if missing:
            faults.add(
                f"'task.class_weights' and the labels differ in {sorted(missing)}",
                None,
                f"give a weight for each of: {', '.join(labels.names)}",
            )
            return None
        return tuple(self.class_weights[name] for name in labels.names)


def _describe_labels(labels: Labels, targets: dict[str, np.ndarray], data: DataSplits) -> None:
    facts = data.facts
    facts.task = {"problem": labels.problem, "labels": list(labels.names)}
    if labels.problem == "regression":
        facts.task["targets"] = {
            split: {
                "mean": float(t.mean()),
                "deviation": float(t.std()),
                "least": float(t.min()),
                "greatest": float(t.max()),
            }
            for split, t in targets.items()
        }
        return
    counts = {split: _class_counts(t, len(labels.names)) for split, t in targets.items()}
    facts.task["counts"] = {
        split: dict(zip(labels.names, map(int, c), strict=True)) for split, c in counts.items()
    }
    most, least = counts["train"].max(), counts["train"].min()
    if most > 3 * max(least, 1):
        rare = labels.names[int(counts["train"].argmin())]
        facts.notes.append(
            f"The classes are unbalanced: '{rare}' has {least:,} training examples, "
            f"the largest {most:,}. task.class_weights=auto evens that out."
        )
    for split in ("validation", "test"):
        absent = [
            name for name, number in zip(labels.names, counts[split], strict=True) if not number
        ]
        if absent:
            facts.notes.append(f"{split} has no example of {', '.join(absent)}.")


def _class_counts(targets: np.ndarray, classes: int) -> np.ndarray:
    return (
        targets.sum(axis=0).astype(int)
        if targets.ndim == 2
        else np.bincount(targets, minlength=classes)
    )


@dataclass(frozen=True)
class ClassificationProblem(Problem):
    """Classification with known labels."""

    labels: Labels
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    folded: bool = field(default=False)
    """Whether the head already speaks in the user's units (regression, after `finish`)."""

    type: ClassVar[str] = "classification"
    task: ClassVar[builtins.type[Task]] = Classification
    peft_task_type: ClassVar[str] = "SEQ_CLS"
    auto_class: ClassVar[str] = "AutoModelForSequenceClassification"

    @property
    def default_metric(self) -> str:  # type: ignore[override]
        return "r2" if self.labels.problem == "regression" else "macro_f1"

    @property
    def metrics(self) -> tuple[str, ...]:  # type: ignore[override]
        return _METRICS[self.labels.problem]

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from transformers import AutoModelForSequenceClassification

        from welltuned.errors import Fault, InputError
        from welltuned.models.anatomy import kind_of
        from welltuned.models.loading import Head
        from welltuned.models.modeling_pooled import PooledConfig

        names = self.labels.names
        labels: dict[str, Any] = {
            "num_labels": len(names),
            "id2label": dict(enumerate(names)),
            "label2id": {name: i for i, name in enumerate(names)},
            "problem_type": _HF_PROBLEM[self.labels.problem],
        }
        if pooling == "model":
            if self.labels.problem == "regression" and kind_of(base) == "decoder":
                what = (
                    f"the classification head of '{base.model_type}' has no bias, "
                    "which a regression needs"
                )
                raise InputError(Fault(what, None, "use task.pooling=last"))
            config = type(base).from_dict({**base.to_dict(), **labels})
        else:
            config = PooledConfig(trunk=base, pooling=pooling, **labels)
        return Head(AutoModelForSequenceClassification, config)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Examples:
        pairs = records.columns.get("text_pair")
        encoded = encode_texts(tokenizer, records["text"], pairs, max_length, progress)
        targets = self.read_targets(records, Faults()) if "label" in records else None
        return Examples(encoded, targets, records)

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        batch = pad(examples.encoded, indices, pad_id)
        if examples.targets is not None:
            batch["labels"] = examples.targets[list(indices)]
        return batch

    def count(self, batch: Batch) -> float:
        labels = batch["labels"]
        if self.class_weights is not None:
            return float(labels.new_tensor(self.class_weights, dtype=_float())[labels].sum())
        return float(labels.numel())

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        return model(**inputs).logits.float()

    def records_of(self, inputs: Sequence[Any]) -> Records:
        first = [given if isinstance(given, str) else given[0] for given in inputs]
        columns: dict[str, list[Any]] = {"text": first}
        if any(not isinstance(given, str) for given in inputs):
            columns["text_pair"] = ["" if isinstance(given, str) else given[1] for given in inputs]
        return Records("texts", columns, list(range(1, len(inputs) + 1)), tuple(columns))

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        return self.loss_sum(self.outputs(model, batch), batch)

    def loss_sum(self, outputs_BK: torch.Tensor, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        labels = batch["labels"]
        if self.labels.problem == "regression":
            return functional.mse_loss(
                outputs_BK.squeeze(-1),
                (labels - self.labels.mean) / self.labels.deviation,
                reduction="sum",
            )
        if self.labels.problem == "multi_label":
            return functional.binary_cross_entropy_with_logits(outputs_BK, labels, reduction="sum")
        weight = (
            outputs_BK.new_tensor(self.class_weights) if self.class_weights is not None else None
        )
        return functional.cross_entropy(
            outputs_BK, labels, weight=weight, label_smoothing=self.label_smoothing, reduction="sum"
        )

    def score(
        self, outputs_NK: np.ndarray, targets: np.ndarray, intervals: bool = False
    ) -> dict[str, Any]:
        from welltuned.metrics.classification import score_multi_label, score_single_label
        from welltuned.metrics.regression import score_regression

        values = self.values(outputs_NK)
        if self.labels.problem == "regression":
            return score_regression(targets, values, intervals)
        scorer = score_multi_label if self.labels.problem == "multi_label" else score_single_label
        return scorer(targets, values, self.labels.names, intervals)

    def baseline(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        width = len(self.labels.names)
        if self.labels.problem == "regression":
            scale = (train_targets.mean() - self._shift) / self._scale
            return self.score(np.full((len(targets), 1), scale), targets)
        if self.labels.problem == "multi_label":
            outputs = np.where(train_targets.mean(axis=0) > 0.5, 10.0, -10.0)
        else:
            outputs = np.log(
                np.bincount(train_targets, minlength=width) / len(train_targets) + 1e-12
            )
        return self.score(np.tile(outputs, (len(targets), 1)), targets)

    def values(self, outputs_NK: np.ndarray) -> np.ndarray:
        """Probabilities (N, K), or numbers (N) in the user's units."""
        if self.labels.problem == "regression":
            return outputs_NK[:, 0].astype(np.float64) * self._scale + self._shift
        outputs_NK = outputs_NK.astype(np.float64)
        if self.labels.problem == "multi_label":
            return 1 / (1 + np.exp(-outputs_NK))
        exponents = np.exp(outputs_NK - outputs_NK.max(axis=1, keepdims=True))
        return exponents / exponents.sum(axis=1, keepdims=True)

    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, Any]]:
        names, values = self.labels.names, self.values(outputs_NK)
        if self.labels.problem == "regression":
            return [{"prediction": float(value)} for value in values]
        rows = []
        for row in values:
            chosen: Any = (
                [name for name, p in zip(names, row, strict=True) if p > 0.5]
                if self.labels.problem == "multi_label"
                else names[int(row.argmax())]
            )
            rows.append(
                {
                    "prediction": chosen,
                    "probabilities": {
                        name: round(float(p), 6) for name, p in zip(names, row, strict=True)
                    },
                }
            )
        return rows

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return self.labels.read(records, faults)

    def target_of(self, target: Any) -> Any:
        if self.labels.problem == "regression":
            return float(target)
        if self.labels.problem == "multi_label":
            return [name for name, flag in zip(self.labels.names, target, strict=True) if flag]
        return self.labels.names[int(target)]

    def finish(self, model: nn.Module) -> ClassificationProblem:
        """For regression, let the head's last layer speak in the user's units: w·σ, b·σ + μ."""
        if self.labels.problem != "regression" or self.folded:
            return self
        from welltuned.models.scalar_head import fold, scalar_layer

        fold(scalar_layer(model), self.labels.deviation, self.labels.mean)
        return replace(self, folded=True)

    def to_dict(self) -> dict[str, Any]:
        return {"type": "classification", "labels": self.labels.to_dict(), "folded": self.folded}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ClassificationProblem:
        """The problem an artifact remembers."""
        return cls(Labels.from_dict(values["labels"]), folded=values["folded"])

    @property
    def _scale(self) -> float:
        return 1.0 if self.folded else self.labels.deviation

    @property
    def _shift(self) -> float:
        return 0.0 if self.folded else self.labels.mean


_METRICS: dict[ProblemType, tuple[str, ...]] = {
    "single_label": ("accuracy", "macro_f1", "calibration_error", "log_loss"),
    "multi_label": ("micro_f1", "macro_f1", "exact_match"),
    "regression": ("r2", "mae", "rmse", "spearman"),
}
_HF_PROBLEM: dict[ProblemType, str] = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}


def _float() -> torch.dtype:
    import torch

    return torch.float32
