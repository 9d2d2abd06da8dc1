"""Formats that hold a graph: what ONNX Runtime's and OpenVINO's have in common."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from welltuned.artifact.save_load import load_artifact
from welltuned.deployment.export.base import ExportFormat, ExportJob, WrittenExport, cannot_hold
from welltuned.deployment.export.capture import Captured, block_of, capture_graph
from welltuned.deployment.export.proof import Judge
from welltuned.deployment.export.proof_data import ProofData
from welltuned.deployment.export.search import Attempt, Batches, PrecisionSearch
from welltuned.deployment.graphs import ONNX, Graph, GraphModel
from welltuned.errors import Fault, InputError, Place
from welltuned.runs.environment import processor
from welltuned.runs.export_schema import ExportFile, ExportProof

if TYPE_CHECKING:
    from torch import nn

    from welltuned.artifact.manifest import ArtifactManifest
    from welltuned.artifact.save_load import Artifact
    from welltuned.tasks import Examples

QUANTISED = ("MatMul", "Gemm")
"""Operators with weights that int8 is worth its while for."""


class GraphFormat(ExportFormat):
    """A format that is written from a captured graph."""

    def refusal(self, manifest: ArtifactManifest) -> Fault | None:
        if manifest.problem.responder is None:
            if manifest.problem.has_new_head:
                return None
            return cannot_hold(
                self.name, "it has no answers but losses of hidden tokens", "export to=plain"
            )
        return cannot_hold(self.name, "it writes text, word by word", "export to=plain or to=gguf")

    def holds(self, artifact: Artifact) -> Fault | None:
        if not artifact.tokenizer.is_fast:
            return cannot_hold(
                self.name,
                "its tokenizer has no tokenizer.json, which is all that is needed without torch",
                "export to=plain",
            )
        return None

    @abstractmethod
    def recipes(self, precision: str) -> tuple[str, ...]:
        """Ways to reach a precision, of which the fastest that loses little is taken."""

    def can_keep(self, precision: str) -> bool:
        """Whether single blocks can stay in higher precision."""
        return precision == "int8"

    @abstractmethod
    def build(
        self, captured: Captured, folder: Path, recipe: str, kept: frozenset[str], batches: Batches
    ) -> None:
        """Write the graph by a recipe; blocks that are `kept` stay in float."""

    @abstractmethod
    def graph(self, folder: Path) -> Graph:
        """What was written, ready to be run."""

    def model_of(self, folder: Path, inputs: Sequence[str]) -> nn.Module:
        return GraphModel(self.graph(folder), inputs)

    def open(self, folder: Path, told: ExportFile) -> nn.Module:
        self.require_packages(self.runtime)
        return self.model_of(folder, told["inputs"])

    def write(self, artifact: Artifact, job: ExportJob) -> WrittenExport:
        """The best attempt of a search, each on the run's own data."""
        if job.run is None:
            raise InputError(_without_run(self.name, job.folder))
        job.tell("reading the run's data")
        data = ProofData.of(job.run, artifact)
        original = load_artifact(job.folder, torch.device("cpu")).merged()
        with TemporaryDirectory(prefix="welltuned-export-") as work:
            job.tell("capturing the graph")
            file = Path(work) / "captured" / ONNX
            file.parent.mkdir()
            captured = capture_graph(artifact, data.validation, file)
            judge = Judge.of(original, data)
            taken, attempts = PrecisionSearch(self, captured, judge, job).run()
            return self._finished(taken, attempts, captured, judge, job.target)

    def _finished(
        self,
        taken: Attempt,
        attempts: list[Attempt],
        captured: Captured,
        judge: Judge,
        target: Path,
    ) -> WrittenExport:
        """The files of the attempt that is taken, at their place, with what proves them."""
        files = sorted(file.name for file in taken.folder.iterdir())
        for name in files:
            shutil.move(taken.folder / name, target / name)
        model = self.model_of(target, captured.inputs)
        proof: ExportProof = {
            "agreement": judge.agreement(model),
            "score": taken.score,
            "original": taken.costs["original"],
            "exported": taken.costs["exported"],
            "attempts": [attempt.as_dict() for attempt in attempts],
            "processor": processor(),
            "threads": torch.get_num_threads(),
        }
        return WrittenExport(
            tuple(files),
            taken.recipe,
            captured.inputs,
            taken.kept,
            proof,
            loader_of(judge.artifact),
        )

    def calibration(self, artifact: Artifact, examples: Examples, inputs: Sequence[str]) -> Batches:
        """Training texts, one a batch, each as what the graph takes.

        A batch may hold more: DeBERTa's tokenizer tells the segments of pairs apart, and the model
        reads nothing of it.
        """
        codec, pad_id = artifact.problem.codec, artifact.tokenizer.pad_token_id
        batches = (codec.collate(examples, [i], pad_id) for i in range(len(examples)))
        return [{name: batch[name] for name in inputs} for batch in batches]

    def blocks(self, captured: Captured) -> list[str]:
        """The blocks of a graph in which there is something to quantise, in order."""
        import onnx

        nodes = onnx.load(str(captured.file), load_external_data=False).graph.node
        names = (block_of(node.name) for node in nodes if node.op_type in QUANTISED)
        return list(dict.fromkeys(names))


def loader_of(artifact: Artifact) -> Path | None:
    """The script that answers without torch; None where texts are read in a way of the task's."""
    plain = artifact.problem.codec.reads_plainly
    return Path(__file__).with_name("loader.py") if plain else None


def _without_run(format: str, folder: Path) -> Fault:
    return Fault(
        "export.run_needed",
        "the format {format} is proved on the data of the model's run, and this model stands "
        "without one",
        Place(str(folder)),
        "give the run's folder",
        format=format,
    )
