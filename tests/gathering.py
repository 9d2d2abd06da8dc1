"""Data gathered as a classification's: splits, or the faults that stopped them."""

from __future__ import annotations

from typing import Any

from faults import full
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
