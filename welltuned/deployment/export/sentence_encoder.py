"""sentence-transformers: the tuned encoder with its pooling, and the linear head beside it.

`SentenceTransformer(FOLDER).encode(texts)` gives what the head reads: vectors in which the classes
lie apart. `head.safetensors` (weight, bias) makes the logits of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel

from welltuned.artifact.save_load import load_artifact
from welltuned.deployment.export.base import (
    ExportFormat,
    ExportJob,
    WrittenExport,
    cannot_hold,
    merged_how,
)
from welltuned.deployment.export.proof import Judge, prove_export
from welltuned.deployment.export.proof_data import ProofData
from welltuned.models.modeling_pooled import PooledForSequenceClassification, pool
from welltuned.models.silence import quiet
from welltuned.runs.export_schema import ExportFile, ExportProof

if TYPE_CHECKING:
    from welltuned.artifact.manifest import ArtifactManifest
    from welltuned.artifact.save_load import Artifact
    from welltuned.errors import Fault

_HEAD = "head.safetensors"
_POOLING = "1_Pooling"
_MODES = {
    "mean": "pooling_mode_mean_tokens",
    "first": "pooling_mode_cls_token",
    "last": "pooling_mode_lasttoken",
}
_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": _POOLING, "type": "sentence_transformers.models.Pooling"},
]


class SentenceTransformersFormat(ExportFormat):
    """`modules.json`, the encoder, `1_Pooling` and `head.safetensors`."""

    name: ClassVar[str] = "sentence-transformers"

    def refusal(self, manifest: ArtifactManifest) -> Fault | None:
        manifest.strategy.require_mergeable()
        if manifest.problem.long.reads_plainly:
            return None
        return cannot_hold(
            self.name,
            "it reads more of long texts than their beginning, which the format cuts them to",
            "export to=onnx or to=openvino",
        )

    def holds(self, artifact: Artifact) -> Fault | None:
        if not isinstance(_unwrapped(artifact.model), PooledForSequenceClassification):
            return cannot_hold(
                self.name,
                "its head does not read one pooled vector through one linear layer",
                "train with task.pooling=mean, or export to=onnx",
            )
        if not artifact.problem.codec.reads_plainly:
            return cannot_hold(
                self.name,
                "texts reach the model by more than its tokenizer",
                "export to=onnx",
            )
        return None

    def write(self, artifact: Artifact, job: ExportJob) -> WrittenExport:
        model: Any = artifact.manifest.strategy.merge(artifact.model)
        _write_encoder(model.float(), artifact, job.target)
        encoder = _Encoder(job.target, model.config.pooling).eval()
        proof = None if job.run is None else _proof(encoder, artifact, job)
        files = (*sorted(file.name for file in job.target.glob("model*.safetensors")), _HEAD)
        return WrittenExport(files, merged_how(artifact), proof=proof)

    def open(self, folder: Path, told: ExportFile) -> nn.Module:
        modes = json.loads((folder / _POOLING / "config.json").read_text(encoding="utf-8"))
        pooling = next(name for name, mode in _MODES.items() if modes[mode])
        return _Encoder(folder, pooling).eval()


def _unwrapped(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _write_encoder(model: Any, artifact: Artifact, target: Path) -> None:
    with quiet():
        model.base_model.save_pretrained(target)
    head = {name: weight.contiguous() for name, weight in model.classifier.state_dict().items()}
    save_file(head, target / _HEAD)
    pooling: dict[str, object] = {
        mode: name == model.config.pooling for name, mode in _MODES.items()
    }
    pooling["word_embedding_dimension"] = model.classifier.in_features
    reads = {"max_seq_length": artifact.max_length, "do_lower_case": False}
    for name, values in (
        ("modules.json", _MODULES),
        (f"{_POOLING}/config.json", pooling),
        ("sentence_bert_config.json", reads),
    ):
        file = target / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


class _Encoder(nn.Module):
    """What was written, from its files alone: trunk, pooling, head."""

    def __init__(self, folder: Path, pooling: str) -> None:
        super().__init__()
        with quiet():
            self.trunk = AutoModel.from_pretrained(
                folder, use_safetensors=True, trust_remote_code=False
            )
        self.head = load_file(folder / _HEAD)
        self.pooling = pooling

    def forward(self, **given: torch.Tensor) -> SimpleNamespace:
        hidden_BTH = self.trunk(**given).last_hidden_state
        pooled_BH = pool(hidden_BTH, given["attention_mask"], self.pooling)
        weight, bias = self.head["weight"], self.head["bias"]
        return SimpleNamespace(logits=nn.functional.linear(pooled_BH, weight, bias))


def _proof(encoder: nn.Module, artifact: Artifact, job: ExportJob) -> ExportProof:
    assert job.run is not None
    job.tell("reading the run's data")
    data = ProofData.of(job.run, artifact)
    original = load_artifact(job.folder, torch.device("cpu")).merged()
    job.tell("measuring agreement, score, latency and throughput")
    size = sum(file.stat().st_size for file in job.target.glob("*.safetensors"))
    return prove_export(encoder, size, Judge.of(original, data), job)
