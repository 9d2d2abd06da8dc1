"""Capture: a tuned model as one ONNX graph, whatever its strategy put into it.

It is traced (`torch.jit.trace`, by the exporter that torch 2.8 to 2.13 have in common), so that all
that runs is in the graph: merged LoRA, adapters, prompts, prefixes inside the attention registry,
pooled heads. Batch and length stay open. What a trace cannot see, a branch that depends on a text,
would show where the graph is proved.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from welltuned.errors import Fault, RunFailed
from welltuned.evaluation.predict import to_device
from welltuned.models.compat.transformers_api import attends_as, attention_of
from welltuned.models.graph_attention import GRAPH
from welltuned.models.silence import quiet
from welltuned.strategies.peft_methods.prefix import ATTENTION

if TYPE_CHECKING:
    from welltuned.artifact.save_load import Artifact
    from welltuned.tasks import Examples

_OPSET = 17
"""The first with LayerNormalization as one operator."""
INPUTS = ("input_ids", "attention_mask", "token_type_ids", GRAPH)
"""What a graph may take of a batch, each (B, T, int64); a mask of data flow is (B, T, T, bool)."""
_BLOCK = re.compile(r"^(.*?[./](?:\d+))[./]")
OUTSIDE = "outside the blocks"
"""Embeddings and head, for `block_of`."""


@dataclass(frozen=True)
class Captured:
    """A graph in float32, and what it was made from."""

    file: Path
    inputs: tuple[str, ...]


class _Logits(nn.Module):
    """A model as a function from tensors in order to logits."""

    def __init__(self, model: nn.Module, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.inputs = inputs

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.inputs, tensors, strict=True))).logits


def capture_graph(artifact: Artifact, examples: Examples, file: Path) -> Captured:
    """Write the graph of a freshly loaded artifact, which is merged and changed on the way.

    Raises `RunFailed` where the model cannot be traced.
    """
    model = _ready(artifact)
    batch = _example(artifact, examples)
    inputs = tuple(batch)
    tensors = tuple(to_device(batch, torch.device("cpu")).values())
    axes: dict[str, dict[int, str]] = {
        name: {0: "batch", **dict.fromkeys(range(1, array.ndim), "length")}
        for name, array in batch.items()
    }
    try:
        with quiet(), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the trace: the proof finds what it misses
            logits = _Logits(model, inputs).eval()
            by_token = logits(*tensors).ndim == 3
            axes["logits"] = {0: "batch", 1: "length"} if by_token else {0: "batch"}
            torch.onnx.export(
                logits,
                tensors,
                str(file),
                input_names=list(inputs),
                output_names=["logits"],
                dynamic_axes=axes,
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:  # whatever a model of any family makes a tracer say
        raise RunFailed(
            Fault(
                "export.not_traced",
                "the model cannot be written as a graph: {reason}",
                None,
                "export to=plain, and serve it with torch",
                reason=(str(error).splitlines() or [type(error).__name__])[0],
            )
        ) from error
    return Captured(file, _inputs_of(file))


def _inputs_of(file: Path) -> tuple[str, ...]:
    """What the graph really takes; what no operator reads was left out of it."""
    import onnx

    graph = onnx.load(str(file), load_external_data=False).graph
    return tuple(one.name for one in graph.input)


def _ready(artifact: Artifact) -> nn.Module:
    """Merged where it can be, in float32, attending by operators that every runtime has."""
    artifact.model.float()  # weights in half precision would round small updates away
    merged: Any = artifact.merged().model
    model = merged.get_base_model() if hasattr(merged, "get_base_model") else merged
    if attention_of(model) != ATTENTION:
        attends_as(model, "eager")
    for part in model.modules():
        if getattr(getattr(part, "config", None), "use_cache", None):
            part.config.use_cache = False
    return model.eval()


def _example(artifact: Artifact, examples: Examples) -> dict[str, np.ndarray]:
    """Two examples of unlike length as one batch, by the names of the model's inputs."""
    order = examples.lengths.argsort()
    chosen = [int(order[0]), int(order[-1])]
    codec, pad_id = artifact.problem.codec, artifact.tokenizer.pad_token_id
    return graph_inputs(codec.collate(examples, chosen, pad_id))


def graph_inputs(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of a batch, what a model reads."""
    return {name: batch[name] for name in INPUTS if name in batch}


def block_of(name: str) -> str:
    """The block of a node, by the path that begins its name: `encoder/layer.3`."""
    found = _BLOCK.match(name)
    return found[1].removeprefix("/model/").removeprefix("model.") if found else OUTSIDE
