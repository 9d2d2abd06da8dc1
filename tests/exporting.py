"""What tests of exports share: one as it says of itself, and what runs answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from welltuned.runs.export_schema import EXPORT_FILE, ExportFile
from welltuned.runs.folder import write_json


def cost(milliseconds: float, texts_per_second: float, size: int) -> dict[str, Any]:
    return {"milliseconds": milliseconds, "texts_per_second": texts_per_second, "bytes": size}


def told(**parts: Any) -> ExportFile:
    """What an int8 export might say of itself."""
    change = {"before": 0.86, "after": 0.858, "difference_ci95": [-0.006, 0.002]}
    score = {
        "split": "test", "metric": "macro_f1", "examples": 1066, "change": change,
        "drop": 0.2, "worst_drop": 0.45, "limit": 0.5,
    }  # fmt: skip
    attempt = {"recipe": "dynamic int8", "kept": [], "drop": 0.9, "worst_drop": 1.2}
    proof = {
        "agreement": {"examples": 533, "largest": 0.21, "mean": 0.03, "same_answers": 0.994},
        "score": score,
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
