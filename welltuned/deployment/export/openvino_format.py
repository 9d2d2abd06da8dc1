"""OpenVINO: float32, weights in float16, or int8 by NNCF's post-training quantisation.

NNCF measures the ranges of activations on training texts, moves what is hard to quantise in them
into the weights (SmoothQuant, Xiao et al. 2022, arXiv 2211.10438) and corrects the biases.
"""

from __future__ import annotations

import logging
import os
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from welltuned.deployment.export.capture import Captured, block_of
from welltuned.deployment.export.graph_format import GraphFormat
from welltuned.deployment.export.search import Batches
from welltuned.deployment.graphs import OPENVINO, Graph, OpenVinoGraph

_INT8 = "static int8"


class OpenVinoFormat(GraphFormat):
    """`model.xml` and `model.bin`."""

    name: ClassVar[str] = "openvino"
    precisions: ClassVar[tuple[str, ...]] = ("int8", "fp16", "fp32")
    extra: ClassVar[str | None] = "openvino"
    packages: ClassVar[tuple[str, ...]] = ("onnx", "openvino", "nncf")
    runtime: ClassVar[tuple[str, ...]] = ("openvino",)

    def recipes(self, precision: str) -> tuple[str, ...]:
        return (_INT8,) if precision == "int8" else (precision,)

    def build(
        self, captured: Captured, folder: Path, recipe: str, kept: frozenset[str], batches: Batches
    ) -> None:
        import openvino

        model: Any = openvino.Core().read_model(str(captured.file))
        if recipe == _INT8:
            model = _quantised(model, kept, batches)
        openvino.save_model(model, str(folder / OPENVINO), compress_to_fp16=recipe != "fp32")

    def graph(self, folder: Path) -> Graph:
        return OpenVinoGraph(folder / OPENVINO)


def _quantised(model: Any, kept: frozenset[str], batches: Batches) -> Any:
    os.environ.setdefault("NNCF_CI", "1")  # else it tells its makers that it is used
    import nncf

    nncf.set_log_level(logging.ERROR)
    names = [one.get_friendly_name() for one in model.get_ops()]
    excluded = [name for name in names if block_of(name) in kept]
    with redirect_stdout(StringIO()):  # where results stand, it would draw progress bars
        return nncf.quantize(
            model,
            nncf.Dataset([dict(batch) for batch in batches]),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=excluded, validate=False),
        )
