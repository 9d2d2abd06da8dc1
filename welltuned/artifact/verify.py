"""Verification of an artifact: reloaded outputs match, and only trainable weights changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from welltuned.artifact.save_load import load_artifact
from welltuned.data.records import Records
from welltuned.engines.device import autocast
from welltuned.errors import Fault, RunFailed
from welltuned.evaluation.predict import predict_outputs
from welltuned.models.freezing import hash_weights
from welltuned.runs.results_schema import ProofRecord

if TYPE_CHECKING:
    from welltuned.strategies import ParameterGroup

EXAMPLES = 16
"""How many validation texts the reloaded model is tried on."""
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Proof:
    """The evidence."""

    frozen_weights: int
    frozen_moved: int
    trainable_weights: int
    trainable_moved: int
    all_finite: bool
    reloaded_examples: int
    reloaded_difference: float
    """The largest absolute difference of any output between the trained and the reloaded model."""

    def as_dict(self) -> ProofRecord:
        return cast(ProofRecord, asdict(self))


@dataclass(frozen=True)
class WeightHashes:
    """Hashes of all weights before training, and which of them are trainable at some time."""

    hashes: dict[str, str]
    trainable: frozenset[str]

    @classmethod
    def of(cls, model: nn.Module, groups: list[ParameterGroup]) -> WeightHashes:
        training = {id(parameter) for group in groups for parameter in group.parameters}
        named = list(model.named_parameters())
        return cls(
            hash_weights(named),
            frozenset(name for name, parameter in named if id(parameter) in training),
        )


@dataclass(frozen=True)
class WeightChanges:
    """Which weights training changed."""

    frozen: list[str]
    trainable: list[str]
    finite: bool


def compare_weights(model: nn.Module, before: WeightHashes) -> WeightChanges:
    """Hash again and compare. To be asked before `finish`, which may reshape weights."""
    named = list(model.named_parameters())
    changed = [
        name for name, digest in hash_weights(named).items() if digest != before.hashes[name]
    ]
    finite = all(bool(torch.isfinite(parameter).all()) for _, parameter in named)
    return WeightChanges(
        [name for name in changed if name not in before.trainable],
        [name for name in changed if name in before.trainable],
        finite,
    )


def prove(
    moved: WeightChanges,
    before: WeightHashes,
    outputs_NK: np.ndarray,
    folder: Path,
    records: Records,
    device: torch.device,
    trusted: bool = False,
) -> Proof:
    """Load the artifact afresh through the plain libraries and compare over these records.

    `trusted` as the run trusts the code of its model. Raises `RunFailed` on the first mismatch.
    """
    _check_changes(moved)
    artifact = load_artifact(folder, device, trusted)
    again_NK = predict_outputs(
        artifact.model,
        artifact.problem,
        artifact.problem.codec.encode(artifact.tokenizer, records, artifact.max_length),
        artifact.tokenizer.pad_token_id,
        EXAMPLES,
        autocast(artifact.precision, device),
    )
    difference = float(np.abs(again_NK - outputs_NK).max())
    _check_difference(difference, outputs_NK)
    return Proof(
        frozen_weights=len(before.hashes) - len(before.trainable),
        frozen_moved=len(moved.frozen),
        trainable_weights=len(before.trainable),
        trainable_moved=len(moved.trainable),
        all_finite=moved.finite,
        reloaded_examples=len(again_NK),
        reloaded_difference=difference,
    )


def _check_changes(moved: WeightChanges) -> None:
    """What should have moved did, and nothing else. Raises `RunFailed`."""
    if not moved.finite:
        raise RunFailed(
            Fault(
                "proof.not_finite",
                "weights are not finite after training",
                None,
                "lower training.learning_rate",
            )
        )
    if moved.frozen:
        raise RunFailed(
            Fault(
                "proof.frozen_weights_changed",
                "{number} frozen weights changed, '{first}' among them",
                None,
                "this is a bug in welltuned; please report it",
                number=len(moved.frozen),
                first=moved.frozen[0],
            )
        )
    if not moved.trainable:
        raise RunFailed(
            Fault(
                "proof.nothing_changed",
                "no weight changed in training: the learning rate is too small to have any effect, "
                "or no step was taken",
                None,
                "raise training.learning_rate, or train for longer",
            )
        )


def _check_difference(difference: float, outputs_NK: np.ndarray) -> None:
    """The reloaded artifact predicts as the trained model did. Raises `RunFailed`."""
    if not difference <= _TOLERANCE * max(1.0, float(np.abs(outputs_NK).max())):
        raise RunFailed(
            Fault(
                "proof.reload_differs",
                "the saved model's outputs differ from those of the trained one by up to "
                "{difference:.2g}",
                None,
                "this is a bug in welltuned; please report it",
                difference=difference,
            )
        )
