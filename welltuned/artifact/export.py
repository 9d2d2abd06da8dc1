"""A tuned model as a plain Hugging Face folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from welltuned.artifact.manifest import find_artifact
from welltuned.artifact.save_load import load_artifact
from welltuned.errors import Fault, InputError, Place
from welltuned.models.loading import quiet
from welltuned.runs.disk import make_folder, writing
from welltuned.runs.folder import write_json

DECISION_RULE = "decision_rule.json"
"""What `predict` makes of the logits, for whoever does the same with the plain libraries."""


def export_run(run_folder: str | Path, to: str | Path) -> Path:
    """Merge the model of a run, or of a bare model folder, and write it to `to`.

    Raises `InputError` for methods that cannot be merged.
    """
    folder, target = find_artifact(run_folder), Path(to).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            Fault(
                "export.target_in_use",
                "the target is a file, or a folder that is not empty",
                Place(str(target)),
                "choose another; nothing is ever overwritten",
            )
        )
    artifact = load_artifact(folder)
    merged = artifact.manifest.strategy.merge(artifact.model)
    make_folder(target)
    modelling = folder / "modeling_pooled.py"
    needed = sum(weight.nbytes for weight in merged.parameters())
    with quiet(), writing(target, needed, half=target):
        if modelling.exists():
            shutil.copyfile(modelling, target / modelling.name)
        merged.save_pretrained(target)
        # Pipelines cut texts to this where they are asked to, as the run did.
        artifact.tokenizer.model_max_length = artifact.max_length
        artifact.tokenizer.save_pretrained(target)
        if rule := artifact.problem.scorer.decision_rule:
            write_json(target / DECISION_RULE, rule)
    return target
