"""A predictor from whatever holds a tuned model: a run, a model folder or an exported one."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.artifact.manifest import find_artifact
from welltuned.errors import Fault, InputError, Place
from welltuned.runs import Run
from welltuned.runs.export_schema import is_export

if TYPE_CHECKING:
    from welltuned.artifact.predictor import Predictor


def open_predictor(
    path: Run | str | PathLike[str],
    device: str = "auto",
    merge: bool = True,
    quantized: bool = True,
) -> Predictor:
    """What answers with the model at `path`. `device` is auto, cpu, cuda or mps.

    With `merge` LoRA is merged into the weights, as it is in every export. A base that was
    `quantized` for training is so again unless that is told off.

    Raises `InputError` where there is none, or it is not as it was saved.
    """
    folder = path.folder if isinstance(path, Run) else Path(path).expanduser()
    if not is_export(folder):
        found = find_artifact(path)  # what is none is told before torch is imported
        from welltuned.artifact.predictor import Predictor

        return Predictor.load(found, device, merge, quantized)
    if device not in ("auto", "cpu"):
        raise InputError(
            Fault(
                "export.cpu_alone",
                "an exported model computes on the CPU, and {device} was asked for",
                Place(str(folder)),
                "leave the device out, or give the run",
                device=device,
            )
        )
    from welltuned.deployment.exported import ExportedPredictor

    return ExportedPredictor.of(folder)
