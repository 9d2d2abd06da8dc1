"""What tests of exports share: one as it says of itself, and what runs answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from welltuned.runs.export_schema import EXPORT_FILE, ExportFile, ScoreProof
from welltuned.runs.folder import write_json


def cost(milliseconds: float, texts_per_second: float, size: int) -> dict[str, Any]:
    return {"milliseconds": milliseconds, "texts_per_second": texts_per_second, "bytes": size}


def scored(drop: float, worst: float, examples: int, limit: float = 0.5) -> ScoreProof:
    """What was measured of a score, in points."""
    change = {"before": 0.86, "after": 0.86 - drop / 100, "difference_ci95": [-0.006, 0.002]}
    found = {
        "split": "test", "metric": "macro_f1", "examples": examples, "change": change,
        "drop": drop, "worst_drop": worst, "limit": limit,
    }  # fmt: skip
    return cast(ScoreProof, found)


def told(**parts: Any) -> ExportFile:
    """What an int8 export might say of itself."""
    attempt = {"recipe": "dynamic int8", "kept": [], "drop": 0.9, "worst_drop": 1.2}
    proof = {
        "agreement": {"examples": 533, "largest": 0.21, "mean": 0.03, "same_answers": 0.994},
        "score": scored(0.2, 0.45, 1066),
        "original": cost(8.0, 200.0, 90_000_000),
        "exported": cost(2.0, 700.0, 23_000_000),
        "attempts": [{**attempt, "texts_per_second": 650.0}] * 2,
        "processor": "a CPU", "threads": 2,
    }  # fmt: skip
    values = {
        "format": "onnx", "precision": "int8", "recipe": "dynamic int8", "kept": ["layer.3"],
        "files": ["model.onnx"], "run": "/runs/<b>mine", "language": "en",
        "task": "classification", "labels": ["bad", "good"], "predictions": "single_label",
        "decision_rule": {}, "inputs": ["input_ids", "attention_mask"], "pad_id": 0,
        "max_length": 64, "truncation_side": "right", "special_tokens": "text", "model": {},
        "proof": proof, **parts,
    }  # fmt: skip
    return cast(ExportFile, values)


def written(folder: Path, **parts: Any) -> Path:
    folder.mkdir(parents=True)
    write_json(folder / EXPORT_FILE, told(**parts))
    return folder


TINY_IDS = np.array([[2, 7, 9, 3], [2, 11, 3, 0], [5, 6, 7, 8]])
"""Three texts for `tiny_graph`, as token ids (B, T)."""
TINY_BLOCK = "encoder/layer.0"
"""Its only block, in which it multiplies by `dense`."""
_Node = tuple[str, list[str], str, str, dict[str, Any]]
"""Operator, inputs, output, name, attributes."""


def tiny_graph(file: Path, largest: float = 1.0) -> Path:
    """Logits (B, 30) of `input_ids`: tanh of mean `embedding` (64, 32) times `dense` (32, 30).

    `largest` is the last number of the embedding, which no text of ours reads.
    """
    rng = np.random.default_rng(0)
    embedding = rng.uniform(-1, 1, (64, 32)).astype(np.float32)
    embedding[-1, -1] = largest
    weights = {"embedding": embedding, "dense": rng.uniform(-1, 1, (32, 30)).astype(np.float32)}
    mean = {"axes": [1], "keepdims": 0}
    nodes: list[_Node] = [
        ("Gather", ["embedding", "input_ids"], "read", "/model/embeddings/Gather", {}),
        ("ReduceMean", ["read"], "pooled", "/model/pooler/ReduceMean", mean),
        ("MatMul", ["pooled", "dense"], "said", f"/model/{TINY_BLOCK}/dense/MatMul", {}),
        ("Tanh", ["said"], "logits", "/model/classifier/Tanh", {}),
    ]
    return _saved(file, nodes, ["input_ids"], weights)


def summing_graph(file: Path, *inputs: str) -> Path:
    """Logits (B, 1): the sum of the first input (B, T), a thousand times that of the second, …"""
    weights = {"axes": np.array([1])}
    nodes: list[_Node] = []
    for number, name in enumerate(inputs):
        weights[f"{name}.factor"] = np.array(1000.0**number, np.float32)
        nodes += [
            ("Cast", [name], f"{name}.float", f"/{name}/Cast", {"to": 1}),
            ("Mul", [f"{name}.float", f"{name}.factor"], f"{name}.times", f"/{name}/Mul", {}),
        ]
    nodes += [
        ("Sum", [f"{name}.times" for name in inputs], "every", "/Sum", {}),
        ("ReduceSum", ["every", "axes"], "logits", "/ReduceSum", {"keepdims": 1}),
    ]
    return _saved(file, nodes, inputs, weights)


def _saved(
    file: Path, nodes: list[_Node], inputs: Sequence[str], weights: Mapping[str, np.ndarray]
) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    made = [
        helper.make_node(operator, taken, [given], name=name, **attributes)
        for operator, taken, given, name, attributes in nodes
    ]
    takes = [helper.make_tensor_value_info(n, TensorProto.INT64, ["B", "T"]) for n in inputs]
    gives = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", None])]
    held = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(made, "tiny", takes, gives, held)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(file))
    return file


def require_alike(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> None:
    """The same answers, and what is a number the same but for rounding."""
    assert [set(row) for row in one] == [set(row) for row in other]
    for a, b in zip(one, other, strict=True):
        for key in a:
            if key in ("probabilities", "confidences"):
                pairs = zip(_numbers(a[key]), _numbers(b[key]), strict=True)
                assert all(np.isclose(x, y, atol=1e-4) for x, y in pairs)
            elif isinstance(a[key], float):
                assert np.isclose(a[key], b[key], atol=1e-3)
            else:
                assert a[key] == b[key]


def _numbers(given: Any) -> list[float]:
    values = given.values() if isinstance(given, Mapping) else given
    return [-1.0 if value is None else float(value) for value in values]
