"""Export: merge a tuned model into a plain Hugging Face folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from welltuned.artifact.save_load import load_artifact
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.models.loading import quiet
from welltuned.runs import Run
from welltuned.schema.document import Document, validate


def export_run(run_folder: str | Path, to: str | Path) -> Path:
    """Merge the run's model and write it to `to`.

    Raises `InputError` for methods that cannot be merged.
    """
    from welltuned.config import RunConfig

    opened, target = Run.open(run_folder), Path(to).expanduser()
    run = Run(opened.proven_model().parent)  # of a pipeline, its last stage
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            Fault(
                "the target is a file, or a folder that is not empty",
                Place(str(target)),
                "choose another; nothing is ever overwritten",
            )
        )
    values = {key: value for key, value in run.config.items() if key in RunConfig.model_fields}
    config = validate(
        RunConfig, Document(values, source=str(run.folder / "config.yaml")), faults := Faults()
    )
    faults.raise_if_any()
    assert config is not None
    artifact = load_artifact(run.proven_model())
    merged = config.strategy.merge(artifact.model)
    target.mkdir(parents=True, exist_ok=True)
    modelling = run.model / "modeling_pooled.py"
    if modelling.exists():
        shutil.copyfile(modelling, target / modelling.name)
    with quiet():
        merged.save_pretrained(target)
        artifact.tokenizer.save_pretrained(target)
    return target
