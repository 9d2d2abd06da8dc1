"""The learning-rate range test: what it suggests, and that it leaves nothing behind."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from faults import fails
from sentences import make_sentences, write_conll
from support import STRATEGIES, job_for
from welltuned.engines import lr_range as module
from welltuned.engines.lr_range import run_range_test, suggest_rate
from welltuned.engines.optimizer import clip_gradients
from welltuned.errors import RunFailed

RATES = [10 ** (-5 + i / 18) for i in range(90)]
TASKS: dict[str, Any] = {
    "token_classification": {"type": "token_classification"},
    "generation": {"type": "generation", "max_length": 48},
}


def state(job: Any) -> dict[str, Any]:
    """All that a test could leave behind."""
    model = job.model
    return {
        "weights": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "trains": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "modes": [child.training for child in model.modules()],
        "random": torch.get_rng_state(),
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before["weights"].keys() == after["weights"].keys()
    for name, tensor in before["weights"].items():
        assert torch.equal(tensor, after["weights"][name]), name
    assert torch.equal(before["random"], after["random"])
    for what in ("trains", "gradients", "modes"):
        assert before[what] == after[what], what


# --- Untouched -----------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_model_is_left_as_it_was_bit_for_bit(
    strategy: str, tiny: Any, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_for(tiny("bert"), sentiment, STRATEGIES[strategy])
    moved: list[float] = []

    def noting(groups: Any, norm: float) -> Any:
        moved.append(norm)
        return clip_gradients(groups, norm)

    monkeypatch.setattr(module, "clip_gradients", noting)
    before = state(job)
    with suppress(RunFailed):  # in so few steps not every strategy learns
        run_range_test(job, 1e-4, 10.0, steps=12)
    assert len(moved) > 3
    assert_same(before, state(job))


@pytest.mark.parametrize("task", TASKS)
def test_other_tasks_are_left_alone_too(
    task: str, tiny: Any, causal: Any, instructions: str, tmp_path: Path
) -> None:
    entities = write_conll(tmp_path / "entities.conll", make_sentences(40))
    source = {
        "token_classification": (tiny("bert"), entities),
        "generation": (causal("llama"), instructions),
    }[task]
    job = job_for(*source, STRATEGIES["lora"], task=TASKS[task])
    before = state(job)
    found = run_range_test(job, 1e-4, 10.0, steps=30)
    assert found.rates[0] == pytest.approx(1e-4) and found.suggestion > 1e-4
    assert_same(before, state(job))


def test_it_is_the_same_twice(tiny: Any, sentiment: str) -> None:
    job = job_for(tiny("bert"), sentiment, STRATEGIES["full"])
    first = run_range_test(job, 1e-5, 1.0, steps=40)
    assert run_range_test(job, 1e-5, 1.0, steps=40) == first


# --- What it suggests ------------------------------------------------------------


def test_a_tenth_of_the_rate_where_the_loss_is_least() -> None:
    losses = [0.7 if rate < 1e-3 else 0.7 - 0.4 * (i - 36) / 36 for i, rate in enumerate(RATES)]
    blown_up = [*losses[:72], *[5.0] * 18]
    found = suggest_rate(list(zip(RATES, blown_up, strict=True)))
    assert found.suggestion == pytest.approx(RATES[71] / 10, rel=0.05)
    assert found.reason["code"] == "lr_range.minimum_inside"
    assert found.reason["values"]["rate"] == f"{RATES[71]:.1e}"


def test_a_loss_that_never_rose_is_told_as_such() -> None:
    losses = [0.7 - 0.005 * i for i in range(90)]
    found = suggest_rate(list(zip(RATES, losses, strict=True)))
    assert found.reason["code"] == "lr_range.minimum_at_the_end"
    assert found.suggestion == pytest.approx(RATES[-1] / 10, rel=0.05)


def test_a_loss_that_never_falls_is_no_guess() -> None:
    with fails("training.no_learning_rate_found"):
        suggest_rate([(rate, 0.7) for rate in RATES])
    with pytest.raises(RunFailed):
        suggest_rate([])


def test_a_loss_that_blows_up_ends_the_test(tiny: Any, sentiment: str) -> None:
    job = job_for(tiny("bert"), sentiment, STRATEGIES["full"])
    found = run_range_test(job, 1e-4, 1e3, steps=60)
    assert len(found.rates) < 60 and found.suggestion < 0.1
