"""Graphs: exported models as another runtime computes them, in the place of a torch module.

A `GraphModel` takes what the model it was made of takes and gives its logits. So encoding,
batching, decision rules and scores are those of any other model, and know nothing of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

ONNX = "model.onnx"
OPENVINO = "model.xml"
_FULL_PRECISION = "f32"


class Graph(ABC):
    """A model's graph on a CPU, ready to be run."""

    @abstractmethod
    def run(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """The logits of a batch, whose arrays are (B, T, int64), or (B, T, T, bool) for masks."""


class OnnxGraph(Graph):
    """As ONNX Runtime computes it."""

    def __init__(self, file: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3  # errors alone
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )

    def run(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._session.run(None, dict(batch))[0]


class OpenVinoGraph(Graph):
    """As OpenVINO computes it."""

    def __init__(self, file: Path, threads: int | None = None) -> None:
        import openvino

        hints: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
            # By itself it computes what is not quantised in bf16 where the processor can.
            "INFERENCE_PRECISION_HINT": _FULL_PRECISION,
        }
        self._model = openvino.Core().compile_model(str(file), "CPU", hints)
        self._output = self._model.output(0)

    def run(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.array(self._model(dict(batch))[self._output])  # its own memory is used again


class GraphModel(nn.Module):
    """A graph as a model: logits (B, …) of token ids and mask (B, T). It has no parameters."""

    def __init__(self, graph: Graph, inputs: Sequence[str]) -> None:
        super().__init__()
        self._graph = graph
        self.inputs = tuple(inputs)

    def forward(self, **given: torch.Tensor) -> SimpleNamespace:
        batch = {name: given[name].numpy() for name in self.inputs if name in given}
        for name in self.inputs:  # one text alone tells no segments apart: all of it is the first
            batch.setdefault(name, np.zeros_like(batch["input_ids"]))
        return SimpleNamespace(logits=torch.from_numpy(self._graph.run(batch)))
