"""Finished runs of every task, and one exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from answering import answering
from welltuned.runs import Run

__all__ = ["answering"]


@pytest.fixture(scope="session")
def quantised(adapted: Run, built_once: Callable[..., Path]) -> Path:
    """LoRA with the family's own head, as int8 for ONNX Runtime; chance may cost what it likes."""

    def build(folder: Path) -> None:
        from welltuned.deployment.export.run_export import export_run

        export_run(adapted, "onnx", folder / "onnx", drop=100)

    return built_once("quantised", build) / "onnx"
