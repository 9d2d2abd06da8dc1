"""On a GPU: the same run, in bf16, on either engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from support import STRATEGIES, tune

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


@pytest.mark.parametrize("engine", ["torch", "hf"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_on_a_gpu_proves_itself(
    strategy: str, engine: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    training = {"device": "cuda", "precision": "bf16"}
    folder, chosen = tmp_path / "run", STRATEGIES[strategy]
    run = tune(tiny("bert"), sentiment, chosen, folder, training=training, engine=engine)
    assert run.results["proof"]["frozen_moved"] == 0
    assert run.results["cost"]["peak_memory_bytes"] > 0
    assert run.read("environment.json")["precision"] == "bf16"
