"""The export of a run: checked, written, proved, and told of in `export.json` and `export.html`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.artifact.manifest import CARD, ArtifactManifest, find_artifact
from welltuned.artifact.save_load import load_artifact
from welltuned.data.tokens.special_tokens import stay_text
from welltuned.deployment.export.base import LOADER, ExportFormat, ExportJob, WrittenExport
from welltuned.deployment.export.config import export_limits
from welltuned.deployment.export.formats import export_format
from welltuned.engines.device import choose_device
from welltuned.errors import InputError
from welltuned.models.checksums import write_sums
from welltuned.models.silence import quiet
from welltuned.reports.export import write_export_report
from welltuned.reports.page import report_language
from welltuned.runs import Run
from welltuned.runs.disk import make_folder, require_free
from welltuned.runs.export_schema import EXPORT_FILE, ExportFile
from welltuned.runs.folder import write_json
from welltuned.schema.versions import EXPORT

if TYPE_CHECKING:
    from welltuned.artifact.save_load import Artifact


def export_run(
    run: Run | str | PathLike[str],
    to: str,
    out: str | Path | None = None,
    precision: str | None = None,
    drop: float | None = None,
    tell: Callable[[str], object] = lambda words: None,
) -> Path:
    """Write the model of a run in a format; returns the folder. `tell` hears what is done.

    A bare model folder will do for formats that need no data to be proved. Raises `InputError`
    where the format cannot hold the model, and `RunFailed` where the exported one answers worse
    than `drop` allows; nothing is left of it then.
    """
    limits = export_limits(drop)
    format = export_format(to)
    chosen = format.chosen_precision(precision)
    format.require_packages()
    folder = find_artifact(run)
    owner = _owner(folder)
    target = Path(out).expanduser() if out else _default_target(folder, owner, format, chosen)
    require_free(target)
    if (fault := format.refusal(ArtifactManifest.read(folder))) is not None:
        raise InputError(fault)
    artifact = load_artifact(folder, choose_device("cpu"), quantized=False)
    if (fault := format.holds(artifact)) is not None:
        raise InputError(fault)
    job = ExportJob(folder, owner, target, chosen, limits.drop, tell)
    existed = target.exists()
    make_folder(target)
    try:
        _finish(format, artifact, job, format.write(artifact, job))
    except BaseException:
        _clear(target, existed)
        raise
    return target


def _finish(
    format: ExportFormat, artifact: Artifact, job: ExportJob, written: WrittenExport
) -> None:
    """What stands beside the weights, whatever the format."""
    target = job.target
    with quiet():
        artifact.tokenizer.model_max_length = artifact.max_length
        artifact.tokenizer.save_pretrained(target)
    if written.loader is not None:
        shutil.copyfile(written.loader, target / LOADER)
    values = {**_described(format, artifact, job, written), **written.told}
    write_json(target / EXPORT_FILE, EXPORT.stamp(values))
    write_export_report(target)
    write_sums(target, without=CARD)


def _described(
    format: ExportFormat, artifact: Artifact, job: ExportJob, written: WrittenExport
) -> ExportFile:
    problem, tokenizer = artifact.problem, artifact.tokenizer
    return {
        "format": format.name,
        "precision": job.precision,
        "recipe": written.recipe,
        "kept": list(written.kept),
        "files": list(written.files),
        "run": None if job.run is None else str(job.run.folder.resolve()),
        "language": "en" if job.run is None else report_language(job.run.config),
        "task": problem.title,
        "labels": list(problem.labels),
        "predictions": problem.scorer.family.name,
        "decision_rule": problem.scorer.decision_rule,
        "inputs": list(written.inputs),
        "pad_id": int(tokenizer.pad_token_id),
        "max_length": artifact.max_length,
        "truncation_side": tokenizer.truncation_side,
        "special_tokens": "text" if stay_text(tokenizer) else "tokens",
        "model": artifact.manifest.to_dict(),
        "proof": written.proof,
    }


def _owner(folder: Path) -> Run | None:
    """The run that a model folder lies in."""
    parent = folder.resolve().parent
    return Run(parent) if (parent / "status.json").is_file() else None


def _default_target(folder: Path, owner: Run | None, format: ExportFormat, precision: str) -> Path:
    name = format.name if len(format.precisions) == 1 else f"{format.name}-{precision}"
    return folder.parent / "exports" / name if owner else folder.with_name(f"{folder.name}-{name}")


def _clear(target: Path, existed: bool) -> None:
    """Nothing is left; a folder that was there, or a link to one, still is."""
    folder = target.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    if existed:
        folder.mkdir(exist_ok=True)
