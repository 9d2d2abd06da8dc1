"""Rows of a comparison's table, as far as a recommendation reads them."""

from __future__ import annotations

from typing import Any

from welltuned.experiments.comparison.rows import COSTS


def row(
    name: str, score: float, seconds: float = 10, memory: float = 1e9, artifact: float = 1e6,
    kept: float | None = None, kind: str = "strategy",
) -> Any:  # fmt: skip
    cost = {"train_seconds": seconds, "memory_bytes": memory, "artifact_bytes": artifact}
    return {
        "name": name,
        "slug": name,
        "kind": kind,
        "seeds": [0, 1, 2],
        "failed": [],
        "scores": {"macro_f1": {"mean": score}},
        "cost": dict.fromkeys(COSTS) | cost,
        "retention": {},
        "kept": kept,
    }
