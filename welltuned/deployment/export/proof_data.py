"""What an export is calibrated and judged on: the run's own splits, as the model reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.records import Records
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.runs import Run
from welltuned.tasks import Examples
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.load_config import load_config

if TYPE_CHECKING:
    from welltuned.artifact.save_load import Artifact

CALIBRATION = 300
"""Training texts that ranges of activations are measured on; NNCF's own number."""
MOST = 5000
"""Examples of a split that are read at most, drawn at random."""


@dataclass(frozen=True)
class ProofData:
    """Splits of the run's data."""

    calibration: Examples
    """Of the training split."""
    validation: Examples
    judged: Examples
    split: str
    """Which split is judged: test or, where that stays sealed, validation."""

    @classmethod
    def of(cls, run: Run, artifact: Artifact) -> ProofData:
        """Read the data of a run again. Raises `InputError` where that cannot be done."""
        try:
            config = load_config(str(run.folder / "config.yaml"), ()).of_one_run
            faults = Faults()
            splits = DataCache().splits(config.data, config.task, faults)
            faults.raise_if_any()
        except InputError as error:
            raise _not_readable(run, error) from error
        assert splits is not None
        if splits.facts.fingerprint != run.read("data.json")["fingerprint"]:
            raise InputError(_changed(run))

        def encoded(split: str, most: int) -> Examples:
            records = _drawn(splits[split], most)
            return artifact.problem.codec.encode(artifact.tokenizer, records, artifact.max_length)

        judged = run.judged
        validation = encoded("validation", MOST)
        return cls(
            encoded("train", CALIBRATION),
            validation,
            validation if judged == "validation" else encoded(judged, MOST),
            judged,
        )


def _drawn(records: Records, most: int) -> Records:
    """So many at most, in their order."""
    if len(records) <= most:
        return records
    chosen = np.random.default_rng(0).choice(len(records), most, replace=False)
    return records.take(sorted(chosen.tolist()))


def _changed(run: Run) -> Fault:
    return Fault(
        "export.data_changed",
        "an export is proved on the run's own data, and these are no longer those that it read",
        Place(str(run.folder)),
        "bring back the files as they were; data.json of the run tells of them",
    )


def _not_readable(run: Run, error: InputError) -> InputError:
    first = error.faults[0]
    return InputError(
        Fault(
            "export.data_unreadable",
            "an export is proved on the run's own data, which cannot be read again: {reason}",
            Place(str(run.folder)),
            "put the files back where the run's config.yaml has them",
            reason=f"{first.place}: {first.what}" if first.place else first.what,
        )
    )
