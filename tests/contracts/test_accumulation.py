"""Eight forward passes of one example are one of eight: every task, on both engines (pitfall S1).

Lengths are unequal, and the last step of an epoch is smaller than the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sentences import make_sentences, write_conll
from support import STRATEGIES, fit, job_for
from welltuned.engines import hf_trainer, torch_loop
from welltuned.engines.events import Listener, Step

TASKS: dict[str, Any] = {
    "classification": {"type": "classification", "pooling": "mean"},
    "token_classification": {"type": "token_classification"},
    "generation": {"type": "generation", "max_length": 48},
    "packed generation": {"type": "generation", "max_length": 48, "packing": True},
}


class Losses(Listener):
    """Notes the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def stepped(self, step: Step) -> None:
        self.losses.append(step.loss)


@pytest.fixture
def sources(tiny: Any, causal: Any, sentiment: str, instructions: str, tmp_path: Path) -> Any:
    """(model without dropout, data) of each task."""
    still = tiny("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    entities = write_conll(tmp_path / "entities.conll", make_sentences(40))
    return {
        "classification": (still, sentiment),
        "token_classification": (still, entities),
        "generation": (causal("llama"), instructions),
        "packed generation": (causal("llama"), instructions),
    }


@pytest.mark.parametrize("engine", [torch_loop, hf_trainer], ids=["torch", "hf"])
@pytest.mark.parametrize("task", TASKS)
def test_eight_times_one_is_one_times_eight(
    task: str, engine: Any, sources: Any, tmp_path: Path
) -> None:
    def trained(size: int, accumulation: int) -> tuple[list[float], dict[str, torch.Tensor]]:
        heard = Losses()
        training = {
            "num_train_epochs": 1,
            "eval_strategy": "no",
            "per_device_train_batch_size": size,
            "gradient_accumulation_steps": accumulation,
            "adam_epsilon": 1e-3,  # so that rounding noise in a gradient of zero is no full step
        }
        parts = {"task": TASKS[task], "training": training}
        model, data = sources[task]
        job = job_for(model, data, STRATEGIES["full"], heard, **parts)
        job.folder = tmp_path
        fit(engine, job)
        return heard.losses, {name: value.detach() for name, value in job.model.named_parameters()}

    (losses, whole), (again, parts) = trained(8, 1), trained(1, 8)
    assert len(losses) > 2 and again == pytest.approx(losses, abs=1e-6)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, atol=1e-6, rtol=1e-5)
