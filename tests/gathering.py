"""Data gathered as a classification's: splits, or the faults that stopped them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faults import full
from support import write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect
from welltuned.errors import Faults
from welltuned.tasks import Classification

ROLES = Classification.roles


def gather(train: str, **config: Any) -> tuple[DataSplits | None, list[str]]:
    faults = Faults()
    collected = collect(DataConfig(train=train, **config), ROLES, faults)
    return collected, full(faults)


def good(train: str, **config: Any) -> DataSplits:
    collected, faults = gather(train, **config)
    assert faults == []
    assert collected is not None
    return collected


def rows(*texts: str) -> list[dict[str, str]]:
    return [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(texts)]


def bind(
    train: str, task: dict[str, Any] | None = None, **config: Any
) -> tuple[DataSplits | None, Any, list[str]]:
    """The splits, the problem that a classification finds in them, and the faults."""
    classification, faults = Classification(**(task or {})), Faults()
    data = collect(DataConfig(train=train, **config), ROLES, faults, classification.convert)
    problem = classification.bind(data, 0.0, faults) if data is not None else None
    return data, problem, full(faults)


def bound(train: str, task: dict[str, Any] | None = None, **config: Any) -> tuple[DataSplits, Any]:
    data, problem, faults = bind(train, task, **config)
    assert faults == []
    assert data is not None
    return data, problem


def picked(data: DataSplits) -> dict[str, str]:
    """What was picked of each doubtful thing."""
    return {reading.question: reading.picked for reading in data.facts.readings}


def table_of(path: Path, cells: Sequence[object], column: str = "label") -> str:
    """A JSON-lines file of different texts with these cells beside them."""
    return write_rows(path, [{"text": f"text {i}", column: cell} for i, cell in enumerate(cells)])
