"""A tuned model as a plain Hugging Face folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import transformers

from welltuned.artifact.manifest import ArtifactManifest
from welltuned.artifact.save_load import load_artifact
from welltuned.deployment.export.base import ExportFormat, ExportJob, WrittenExport, merged_how
from welltuned.deployment.export.proof import Judge, prove_export
from welltuned.deployment.export.proof_data import ProofData
from welltuned.engines.device import autocast
from welltuned.errors import Fault, Place, RunFailed
from welltuned.models.anatomy import is_encoder_decoder
from welltuned.models.silence import quiet
from welltuned.runs.disk import writing
from welltuned.runs.export_schema import ExportFile, ExportProof
from welltuned.runs.folder import write_json
from welltuned.schema.import_path import imports_allowed

if TYPE_CHECKING:
    from torch import nn

    from welltuned.artifact.save_load import Artifact

DECISION_RULE = "decision_rule.json"
"""What `predict` makes of the logits, for whoever does the same with the plain libraries."""
LONG_TEXTS = "long_texts.json"
"""How `predict` reads texts longer than the model takes, where it does not merely cut them."""
_MODELLING = "modeling_pooled.py"
_MADE_UP = 12
"""Token ids that the written model is tried on."""
_TOLERANCES = {"fp32": 1e-4, "bf16": 5e-2}


class PlainFormat(ExportFormat):
    """`config.json`, `model.safetensors`, the tokenizer: what transformers loads by itself."""

    name: ClassVar[str] = "plain"

    def refusal(self, manifest: ArtifactManifest) -> Fault | None:
        manifest.strategy.require_mergeable()
        return None

    def write(self, artifact: Artifact, job: ExportJob) -> WrittenExport:
        merged: Any = artifact.manifest.strategy.merge(artifact.model)
        if not artifact.problem.codec.reads_plainly:
            job.tell("plain libraries read texts by the tokenizer alone, and not as in training")
        weights = _write(merged, artifact, job)
        _require_equal(merged, artifact, job.target)
        proof = _drift(merged, weights, artifact, job)
        return WrittenExport(weights, merged_how(artifact), proof=proof)

    def open(self, folder: Path, told: ExportFile) -> nn.Module:
        return _load(folder, ArtifactManifest.from_dict(told["model"], folder))


def _write(merged: Any, artifact: Artifact, job: ExportJob) -> tuple[str, ...]:
    """Write the merged model; returns the names of the files of its weights."""
    modelling, target = job.folder / _MODELLING, job.target
    needed = sum(weight.nbytes for weight in merged.parameters())
    with quiet(), writing(target, needed, half=target):
        if modelling.exists():
            shutil.copyfile(modelling, target / modelling.name)
        merged.save_pretrained(target)
        if rule := artifact.problem.scorer.decision_rule:
            write_json(target / DECISION_RULE, rule)
        if not (long := artifact.problem.long).reads_plainly:
            reads = {**long.to_dict(), "max_length": artifact.max_length}
            write_json(target / LONG_TEXTS, reads)
    return tuple(sorted(file.name for file in target.glob("*.safetensors")))


def _require_equal(merged: Any, artifact: Artifact, target: Path) -> None:
    """Raise `RunFailed` where the folder, loaded afresh, computes anything else."""
    one, other = _tried((merged, _load(target, artifact.manifest)), artifact)
    tolerance = _TOLERANCES[artifact.precision]
    if not torch.allclose(one, other, atol=tolerance, rtol=tolerance):
        raise RunFailed(
            Fault(
                "export.reload_differs",
                "the folder, loaded afresh, computes other outputs, by up to {difference:.2g}",
                Place(str(target)),
                "this is a bug in welltuned; please report it",
                difference=float((one - other).abs().max()),
            )
        )


def _tried(models: Iterable[Any], artifact: Artifact) -> list[torch.Tensor]:
    """What each model makes of the same token ids."""
    batch = _made_up(artifact)
    with torch.inference_mode(), autocast(artifact.precision, torch.device("cpu")):
        return [model.eval()(**batch).logits.float() for model in models]


def _made_up(artifact: Artifact) -> dict[str, torch.Tensor]:
    """A batch of token ids (2, …), as a model of this kind takes them."""
    config: Any = artifact.config
    ids_BT = torch.arange(_MADE_UP).reshape(2, -1) % len(artifact.tokenizer)
    if is_encoder_decoder(config):  # its head for labels reads the one end of each text
        end = config.eos_token_id
        ids_BT = ids_BT.masked_fill(ids_BT == end, end + 1)
        ids_BT[:, -1] = end
    batch = {"input_ids": ids_BT, "attention_mask": torch.ones_like(ids_BT)}
    if is_encoder_decoder(config) and artifact.problem.responder is not None:
        batch["decoder_input_ids"] = ids_BT
    return batch


def _drift(
    merged: Any, weights: tuple[str, ...], artifact: Artifact, job: ExportJob
) -> ExportProof | None:
    """How far the merged model is from one that was trained on a quantised base.

    None where the base was not quantised: what is merged is what was trained.
    """
    if artifact.manifest.base.quantization is None:
        return None
    original = load_artifact(job.folder, torch.device("cpu"))
    if job.run is None:
        one, other = _tried((original.model, merged), artifact)
        apart = float((one - other).abs().max())
        job.tell(f"on made-up tokens its outputs are up to {apart:.2g} from the original's")
        return None
    job.tell("measuring how far it is from the model with the quantised base")
    size = sum((job.target / name).stat().st_size for name in weights)
    return prove_export(merged, size, Judge.of(original, ProofData.of(job.run, original)), job)


def _load(folder: Path, manifest: ArtifactManifest) -> Any:
    auto_class: Any = getattr(transformers, manifest.problem.auto_class)
    trust = manifest.base.trust_remote_code and imports_allowed()
    with quiet():
        return auto_class.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=trust
        ).eval()
