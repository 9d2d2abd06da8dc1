"""An engine of one's own, named in the config by import path."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import short_tune


def test_an_engine_of_ones_own_turns_the_crank(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named in the config by import path: here the plain loop, and a note that it was asked."""
    (tmp_path / "my_engine.py").write_text(
        "from welltuned.engines import torch_loop\nasked = []\n"
        "def train(job):\n    asked.append(job)\n    return torch_loop.fit_with_loop(job)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    strategy, parts = {"type": "partial", "num_blocks": 0}, {"training": {"num_train_epochs": 0.2}}
    run = short_tune(
        tiny("bert"), sentiment, strategy, tmp_path / "run", engine="my_engine.train", **parts
    )
    assert len(importlib.import_module("my_engine").asked) == 1
    assert run.results["training"]["steps"] > 0


def test_an_engine_that_cannot_be_imported_is_refused(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    with refused("import.failed", what="engine", path="no_such.train"):
        short_tune(
            tiny("bert"), sentiment, {"type": "full"}, tmp_path / "run", engine="no_such.train"
        )
