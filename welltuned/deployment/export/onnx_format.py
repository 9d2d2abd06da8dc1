"""ONNX, as ONNX Runtime computes it: float32, weights in float16, or int8.

int8 is written in two ways, and the faster one that loses little is taken: `dynamic` measures the
ranges of activations as it runs, `static` has measured them on training texts. Products of
activations with each other, as in attention, stay in float.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from welltuned.deployment.export.capture import Captured, block_of
from welltuned.deployment.export.graph_format import QUANTISED, GraphFormat
from welltuned.deployment.export.search import Batches
from welltuned.deployment.graphs import ONNX, Graph, OnnxGraph

if TYPE_CHECKING:
    from onnx import ModelProto

ONE_FILE = 2**31 - 2**20
"""Bytes that a graph may have in one file, which is a message of less than 2 GiB."""
_SMALL = 1024
"""Weights of fewer numbers stay in float32."""
_LARGEST = float(np.finfo(np.float16).max)
_DYNAMIC, _STATIC = "dynamic int8", "static int8"


class OnnxFormat(GraphFormat):
    """`model.onnx`."""

    name: ClassVar[str] = "onnx"
    precisions: ClassVar[tuple[str, ...]] = ("int8", "fp16", "fp32")
    extra: ClassVar[str | None] = "onnx"
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    runtime: ClassVar[tuple[str, ...]] = ("onnxruntime",)

    def recipes(self, precision: str) -> tuple[str, ...]:
        return (_DYNAMIC, _STATIC) if precision == "int8" else (precision,)

    def build(
        self, captured: Captured, folder: Path, recipe: str, kept: frozenset[str], batches: Batches
    ) -> None:
        import onnx

        file = folder / ONNX
        if recipe in ("fp16", "fp32"):
            model = onnx.load(str(captured.file))
            if recipe == "fp16":
                store_weights_in_half(model)
            save_graph(model, file)
            return
        nodes = onnx.load(str(captured.file), load_external_data=False).graph.node
        excluded = [node.name for node in nodes if block_of(node.name) in kept]
        large = _bytes_beside(captured.file) > ONE_FILE
        with _quietly():
            if recipe == _DYNAMIC:
                _quantise_dynamically(captured.file, file, excluded, large)
            else:
                _quantise_statically(captured.file, file, excluded, batches, large)

    def graph(self, folder: Path) -> Graph:
        return OnnxGraph(folder / ONNX)


def save_graph(model: ModelProto, file: Path) -> None:
    """Write a graph into one file; where that cannot hold its weights, these stand beside it."""
    import onnx

    weights = sum(len(weight.raw_data) for weight in model.graph.initializer)
    beside: dict[str, Any] = {}
    if weights > ONE_FILE:
        beside = {"save_as_external_data": True, "location": f"{file.name}.data"}
    onnx.save(model, str(file), **beside)


def _bytes_beside(file: Path) -> int:
    """Of a captured graph, with the weights that stand beside it where it is large."""
    return sum(one.stat().st_size for one in file.parent.iterdir() if one.is_file())


def store_weights_in_half(model: ModelProto) -> None:
    """Weights of an ONNX model in float16, cast to float32 where they are read.

    What is computed stays float32, for ONNX Runtime computes little else on a CPU. Weights that
    hold a number beyond float16's stay as they are, for it would be infinite.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _SMALL:
            continue
        name, values = weight.name, numpy_helper.to_array(weight)
        if np.abs(values).max() > _LARGEST:
            continue
        half = values.astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _quantise_dynamically(source: Path, file: Path, excluded: list[str], large: bool) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        file,
        op_types_to_quantize=[*QUANTISED, "Gather"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=excluded,
        use_external_data_format=large,
        extra_options={"MatMulConstBOnly": True},
    )


def _quantise_statically(
    source: Path, file: Path, excluded: list[str], batches: Batches, large: bool
) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    quantize_static(
        source,
        file,
        CalibrationTexts(batches),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=[*QUANTISED, "Gather"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=excluded,
        use_external_data_format=large,
        extra_options={"MatMulConstBOnly": True},
    )


class CalibrationTexts:
    """Batches as ONNX Runtime's calibration asks for them, one after the other."""

    def __init__(self, batches: Batches) -> None:
        self._left = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._left, None)
        return None if batch is None else dict(batch)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without advice to preprocess a graph, which was folded already."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
