"""Exported models, opened again: they answer as the runs that they are of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedConfig

from welltuned.artifact.manifest import ArtifactManifest
from welltuned.artifact.predictor import Predictor
from welltuned.artifact.save_load import Artifact
from welltuned.deployment.export.formats import export_format
from welltuned.engines.threads import keep_to_usable_cores
from welltuned.models.checksums import check_sums
from welltuned.models.silence import quiet
from welltuned.runs.export_schema import EXPORT_FILE, ExportFile, read_export


class ExportedPredictor(Predictor):
    """A `Predictor` whose model is an exported one."""

    def __init__(self, artifact: Artifact, told: ExportFile, run_folder: Path | None) -> None:
        super().__init__(artifact, run_folder)
        self.told = told
        """What `export.json` says of it."""

    @classmethod
    def of(cls, folder: Path) -> ExportedPredictor:
        """From an exported folder, whose hashes are checked. Raises `InputError`."""
        told = read_export(folder)
        check_sums(folder)
        manifest = ArtifactManifest.from_dict(told["model"], folder / EXPORT_FILE)
        keep_to_usable_cores()
        model = export_format(told["format"]).open(folder, told)
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        answering = replace(manifest, precision="fp32")
        artifact = Artifact(model, tokenizer, PreTrainedConfig(), answering)
        return cls(artifact, told, Path(told["run"]) if told["run"] else None)
