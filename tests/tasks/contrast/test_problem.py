"""The problem that is learned by contrast: its batches, its loss, and what it leaves as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from support import STRATEGIES, job_for, session_for
from welltuned.tasks.contrast.losses import likeness, supcon_sum

SMALL = {"type": "contrastive", "group_size": 8, "rounds": 1}


def batch_of(job: Any, *groups: int) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in _arrays(job, groups).items()}


def _arrays(job: Any, groups: tuple[int, ...]) -> dict[str, Any]:
    return dict(job.problem.codec.collate(job.examples, list(groups), job.pad_id))


def test_the_loss_is_that_of_what_the_head_reads(tiny: Callable[..., str], few: str) -> None:
    session = session_for(tiny("bert"), few, SMALL)
    job, model = session.job(), session.model.eval()
    batch = batch_of(job, 0, 1)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    hidden = model.base_model(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    pooled = functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).view(2, 8, -1)
    alike = likeness(batch["labels"].view(2, 8, -1))
    expected = supcon_sum(pooled @ pooled.transpose(1, 2), alike, 0.1)
    assert torch.allclose(job.problem.objective.loss(model, batch), expected, rtol=1e-4)
    assert job.problem.objective.count(batch) == 16


@pytest.mark.parametrize("inner", ["full", "lora"])
def test_the_encoder_learns_and_the_head_does_not(
    tiny: Callable[..., str], few: str, inner: str
) -> None:
    job = job_for(tiny("bert"), few, {**SMALL, "trains": STRATEGIES[inner]})
    job.problem.objective.loss(job.model, batch_of(job, 0)).backward()
    learned = {name for name, w in job.model.named_parameters() if w.grad is not None}
    assert learned
    assert not [name for name in learned if job.anatomy.depth(name) == 0]


def test_groups_do_not_depend_on_the_micro_batch(tiny: Callable[..., str], few: str) -> None:
    job = job_for(tiny("bert"), few, SMALL)
    model, objective = job.model.eval(), job.problem.objective
    with torch.no_grad():
        together = objective.loss(model, batch_of(job, 0, 1, 2))
        apart = sum(objective.loss(model, batch_of(job, i)) for i in range(3))
    assert torch.allclose(together, apart, rtol=1e-4)


def test_a_step_has_as_many_texts_as_batch_sizes_say(tiny: Callable[..., str], few: str) -> None:
    sizes = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 2}
    job = job_for(tiny("bert"), few, SMALL, training=sizes)
    step = max(job.batches.steps(0), key=len)
    assert [len(job.examples.rows_of(micro.tolist())) for micro in step] == [16, 16]


def test_what_is_not_drawn_is_read_and_answered_as_ever(tiny: Callable[..., str], few: str) -> None:
    session = session_for(tiny("bert"), few, SMALL)
    contrast, own = session.prepared.learned_by, session.prepared.problem
    examples, pad = session.prepared.examples["validation"], session.prepared.pad_id
    assert contrast.codec.encode(
        session.prepared.tokenizer, examples.records, 64
    ).encoded.ids.tolist() == (examples.encoded.ids.tolist())
    batch, same = (one.codec.collate(examples, [0, 1], pad) for one in (contrast, own))
    assert batch.keys() == same.keys()
    assert all((batch[name] == same[name]).all() for name in batch)
    assert contrast.to_dict() == own.to_dict()
    assert contrast.scorer == own.scorer
    assert contrast.codec.records_of(["a"]).columns == {"text": ["a"]}
