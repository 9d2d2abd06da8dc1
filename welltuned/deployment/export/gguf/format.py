"""The format GGUF: written, read back by transformers, and only then called done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from welltuned.artifact.save_load import load_artifact
from welltuned.deployment.export.base import ExportFormat, ExportJob, WrittenExport, cannot_hold
from welltuned.deployment.export.gguf.metadata import network_fault, write_network
from welltuned.deployment.export.gguf.modelfile import MODELFILE, modelfile
from welltuned.deployment.export.gguf.tensors import FAMILIES, Tensor, tensors_of, write_tensors
from welltuned.deployment.export.gguf.vocabulary import Vocabulary, read_vocabulary
from welltuned.errors import Fault, InputError
from welltuned.models.gguf.rotary import ROPE_FACTORS, rope_factors
from welltuned.runs.disk import writing

if TYPE_CHECKING:
    from torch import nn

    from welltuned.artifact.manifest import ArtifactManifest
    from welltuned.artifact.save_load import Artifact
    from welltuned.deployment.export.gguf.proof import Conversation
    from welltuned.runs.export_schema import ExportFile, ExportProof

WEIGHTS = "model.gguf"
_TYPES = {"fp32": "ALL_F32", "fp16": "MOSTLY_F16", "int8": "MOSTLY_Q8_0"}
"""What llama.cpp calls a file of each precision (`gguf.LlamaFileType`)."""
_TEXTS = (
    "The quick brown fox, aged 12, jumps over 345 dogs; doesn't it?",
    "  two spaces,\ttabs\n\nand lines ",
    "深度学习 — émigré naïveté Ωμέγα 🙂 1234567",
    "def f(x):\n    return x ** 2  # code",
)
"""Texts of several scripts that tokenizers are compared on."""


class GgufFormat(ExportFormat):
    """One file for llama.cpp and Ollama, for decoders that are built as Llama is."""

    name: ClassVar[str] = "gguf"
    precisions: ClassVar[tuple[str, ...]] = ("fp16", "fp32", "int8")
    extra: ClassVar[str | None] = "gguf"
    packages: ClassVar[tuple[str, ...]] = ("gguf",)

    def refusal(self, manifest: ArtifactManifest) -> Fault | None:
        manifest.strategy.require_mergeable()
        return None

    def holds(self, artifact: Artifact) -> Fault | None:
        artifact.manifest.strategy.require_mergeable()
        config: Any = artifact.config
        if artifact.problem.responder is None:
            return cannot_hold(self.name, "it does not write text", "export to=onnx or to=openvino")
        if config.model_type not in FAMILIES:
            known = ", ".join(FAMILIES)
            return cannot_hold(
                self.name, f"its family is {config.model_type}, and {known} are held",
                "export to=plain",
            )  # fmt: skip
        family = FAMILIES[config.model_type]
        if (fault := network_fault(config, family.turns_neighbours)) is not None:
            return fault
        try:
            read_vocabulary(artifact.tokenizer, config.vocab_size)
        except InputError as error:
            return error.faults[0]
        return None

    def write(self, artifact: Artifact, job: ExportJob) -> WrittenExport:
        merges: Any = artifact.manifest.strategy.merge
        model = merges(artifact.model).float()
        merged = replace(artifact, model=model, config=model.config)
        job.tell("writing the file")
        vocabulary = write_gguf(merged, job.target / WEIGHTS, job.precision)
        (job.target / MODELFILE).write_text(modelfile(WEIGHTS, merged, vocabulary), "utf-8")
        job.tell("reading it back")
        read, talk = _read_and_asked(merged, vocabulary, job)
        recipe = {"int8": "Q8_0", "fp16": "F16", "fp32": "F32"}[job.precision]
        proof = None if job.run is None else _proved(read, job)
        return WrittenExport(
            (WEIGHTS,),
            f"{recipe}; times are those of transformers, which computes it in float32",
            proof=proof,
            told={
                "conversation": dict(talk),
                "rope_parameters": dict(model.config.rope_parameters),
            },
        )

    def open(self, folder: Path, told: ExportFile) -> nn.Module:
        """As transformers reads it."""
        from welltuned.deployment.export.gguf.proof import read_back

        self.require_packages()
        values: Any = told
        return read_back(folder, WEIGHTS, values["rope_parameters"])


def write_gguf(artifact: Artifact, file: Path, precision: str) -> Vocabulary:
    """Write a merged model into one file; returns what its tokenizer is there.

    Raises `InputError` where the format cannot hold it, `RunFailed` where there is no room.
    """
    import gguf

    model: Any = artifact.model
    config = model.config
    vocabulary = read_vocabulary(artifact.tokenizer, config.vocab_size)
    writer = gguf.GGUFWriter(file, FAMILIES[config.model_type].architecture)
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(Path(artifact.manifest.base.name).name)
    writer.add_description(f"Tuned by {artifact.manifest.strategy.type} with welltuned")
    writer.add_file_type(int(gguf.LlamaFileType[_TYPES[precision]]))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    write_network(writer, config, config.vocab_size)
    vocabulary.write(writer)
    if template := artifact.tokenizer.chat_template:
        writer.add_chat_template(template)
    tensors = [*tensors_of(model, precision), *_factors(config)]
    with writing(file, sum(one.nbytes for one in tensors), half=file):
        write_tensors(writer, tensors)
    return vocabulary


def _factors(config: Any) -> list[Tensor]:
    """The scaling of the rotary embedding, where it is scaled."""
    import gguf
    import torch

    factors = rope_factors(config)
    if factors is None:
        return []
    kind = gguf.GGMLQuantizationType.F32
    return [Tensor(ROPE_FACTORS, torch.from_numpy(np.ascontiguousarray(factors)), kind, None)]


def _read_and_asked(
    merged: Artifact, vocabulary: Vocabulary, job: ExportJob
) -> tuple[nn.Module, Conversation]:
    """The model as transformers reads it back, and a conversation with both."""
    from welltuned.deployment.export.gguf import proof

    file, config = job.target / WEIGHTS, merged.config
    read = proof.read_back(job.target, WEIGHTS, config.rope_parameters)
    tokenizer = proof.read_tokenizer_back(job.target, WEIGHTS)
    texts = [proof.QUESTION, *_TEXTS]
    proof.require_same_tokens(merged.tokenizer, tokenizer, texts, vocabulary, file)
    responder: Any = merged.problem.responder
    talk = proof.ask_both(merged, read, tokenizer, responder.style == "plain", file)
    if job.precision == "fp32":
        proof.require_same_answer(talk, file)
    return read, talk


def _proved(read: nn.Module, job: ExportJob) -> ExportProof:
    """What the run's own data say of it beside the original."""
    import torch

    from welltuned.deployment.export.proof import Judge, prove_export
    from welltuned.deployment.export.proof_data import ProofData

    assert job.run is not None
    original = load_artifact(job.folder, torch.device("cpu")).merged()
    judge = Judge.of(original, ProofData.of(job.run, original))
    return prove_export(read, (job.target / WEIGHTS).stat().st_size, judge, job)
