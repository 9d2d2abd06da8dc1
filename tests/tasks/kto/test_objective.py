"""The loss of a batch, written out from full logits; and its baseline, of a whole step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from support import job_for
from welltuned.data.tokens.encoding import IGNORED
from welltuned.evaluation.predict import to_device

BETA, WEIGHTS = 0.4, {"desirable_weight": 1.5, "undesirable_weight": 0.5}


@pytest.fixture(scope="module")
def job(causal: Any, thumbs: str) -> Any:
    task = {"type": "kto", "beta": BETA, **WEIGHTS}
    return job_for(causal("llama"), thumbs, {"type": "full"}, task=task)


def batch_of(job: Any, indices: list[int]) -> dict[str, torch.Tensor]:
    return to_device(job.problem.codec.collate(job.examples, indices, job.pad_id), job.device)


def gains(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """log π − log π_ref of each record's answer, and of that to another prompt (B, 2)."""
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        scores = model(**inputs).logits.float().log_softmax(-1)[:, :-1]
    labels = batch["labels"][:, 1:]
    found = scores.gather(2, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    sums = (found * (labels != IGNORED)).sum(1)
    return (sums - batch["reference"]).view(-1, 2)


def test_before_the_first_step_every_answer_is_half_won(job: Any) -> None:
    batch = batch_of(job, [0, 1, 2])
    ups = float(batch["scores"].sum())
    wanted = 0.5 * (1.5 * ups + 0.5 * (3 - ups))
    assert job.problem.objective.loss(job.model, batch).item() == pytest.approx(wanted, abs=1e-4)
    assert job.problem.objective.count(batch) == 3


def test_the_loss_is_the_papers_with_the_divergence_of_its_batch_or_step(job: Any) -> None:
    before = {name: value.clone() for name, value in job.model.state_dict().items()}
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in job.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    job.model.eval()
    objective, batch = job.problem.objective, batch_of(job, [0, 1, 2, 3, 4])
    own, other = gains(job.model, batch).T
    whole = objective.step_sum(job.model, batch).item()
    assert whole == pytest.approx(other.sum().item(), abs=1e-3)
    for mean in (None, 1.25, -3.0):
        baseline = max(0.0, other.mean().item() if mean is None else mean)
        signs = 2 * batch["scores"] - 1
        weights = torch.where(signs > 0, 1.5, 0.5)
        wanted = (weights * (1 - (signs * BETA * (own - baseline)).sigmoid())).sum()
        given = batch if mean is None else {**batch, "step_mean": torch.tensor(mean)}
        assert objective.loss(job.model, given).item() == pytest.approx(wanted.item(), rel=1e-4)
    job.model.load_state_dict(before)


def test_no_gradient_flows_through_the_baseline(job: Any) -> None:
    """It is of another forward pass, which keeps nothing to go back through."""
    batch = batch_of(job, [0, 1])
    assert not job.problem.objective.step_sum(job.model, batch).requires_grad
