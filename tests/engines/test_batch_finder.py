"""Finding how many examples to read at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from faults import refused
from support import STRATEGIES, config_values, job_for
from welltuned.config import run_config_from
from welltuned.engines import batch_finder
from welltuned.engines.batch_finder import Try, candidates, choose_batch_size, find_batch_size

AUTO = {"per_device_train_batch_size": "auto", "global_batch_size": 16}


def test_sizes_divide_a_step_evenly() -> None:
    assert candidates(16) == [1, 2, 4, 8, 16]
    assert candidates(12) == [1, 2, 4, 12]
    assert candidates(7) == [1, 7]
    assert candidates(1) == [1]


def test_the_smallest_of_the_fastest_is_taken() -> None:
    tries = [Try(1, 10.0), Try(2, 50.0), Try(4, 99.0), Try(8, 100.0), Try(16, 80.0)]
    assert choose_batch_size(tries).size == 4
    assert choose_batch_size([Try(1, 10.0), Try(2, None)]).size == 1
    assert "2: does not fit" in choose_batch_size([Try(1, 10.0), Try(2, None)]).reason


def test_every_size_is_timed_and_the_model_is_left_as_it_was(tiny: Any, sentiment: str) -> None:
    job = job_for(tiny("bert"), sentiment, STRATEGIES["full"], training=AUTO)
    before = {name: tensor.clone() for name, tensor in job.model.state_dict().items()}
    random = torch.get_rng_state()
    found = find_batch_size(job)
    assert [each.size for each in found.tries] == [1, 2, 4, 8, 16]
    assert all(each.examples_per_second for each in found.tries)
    for name, tensor in job.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in job.model.parameters())


def test_the_longest_examples_come_first(
    tiny: Any, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fits them fits everything."""
    job = job_for(tiny("bert"), sentiment, STRATEGIES["full"], training=AUTO)
    tried: list[int] = []
    real = batch_finder.forward_backward

    def spied(job: Any, indices: Any) -> None:
        tried.append(int(job.examples.lengths[indices].max()))
        real(job, indices)

    monkeypatch.setattr(batch_finder, "forward_backward", spied)
    find_batch_size(job)
    assert tried[0] == job.examples.lengths.max()


def test_a_size_that_runs_out_of_memory_is_the_last(
    tiny: Any, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_for(tiny("bert"), sentiment, STRATEGIES["full"], training=AUTO)
    real = batch_finder.forward_backward

    def small(job: Any, indices: Any) -> None:
        if len(indices) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(job, indices)

    monkeypatch.setattr(batch_finder, "forward_backward", small)
    found = find_batch_size(job)
    assert [each.size for each in found.tries] == [1, 2, 4, 8]
    assert found.tries[-1].examples_per_second is None and found.size <= 4


def test_without_a_gpu_a_size_that_may_not_fit_is_not_tried(
    tiny: Any, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, running out of memory would end the process."""
    job = job_for(tiny("bert"), sentiment, STRATEGIES["full"], training=AUTO)
    monkeypatch.setattr(batch_finder, "_would_fit", lambda job, needed: False)
    found = find_batch_size(job)
    assert found.tries[1:] == (Try(2, None),) and found.size == 1


@pytest.mark.parametrize(
    ("training", "code"),
    [
        (
            {"per_device_train_batch_size": 8, "global_batch_size": 32},
            "training.global_batch_size_without_auto",
        ),
        ({**AUTO, "gradient_accumulation_steps": 2}, "training.accumulation_with_auto"),
        ({**AUTO, "max_tokens_per_step": 4096}, "training.token_budget_with_auto"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    training: dict[str, Any], code: str, tmp_path: Any
) -> None:
    values = config_values("m", "d.csv", {"type": "full"}, tmp_path, training=training)
    with refused(code):
        run_config_from(values)
