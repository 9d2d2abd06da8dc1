"""What is written of a step that was not taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from spoiling import reads, spoil
from support import job_for
from welltuned.engines import torch_loop


@pytest.mark.parametrize("strategy", [{"type": "full"}, {"type": "partial", "num_blocks": 1}])
def test_the_example_that_is_to_blame_is_told(
    strategy: Any, tiny: Any, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the states above frozen blocks are kept."""
    training = {"num_train_epochs": 1, "max_skipped_steps": 1}
    job = job_for(tiny("bert"), few, strategy, training=training)
    found: list[Mapping[str, Any]] = []
    job = replace(job, study=lambda step, told: found.append(told))
    index = int(job.batches.steps(0)[1][0][3])
    spoil(monkeypatch, "loss", reads(job.examples, index))
    torch_loop.fit_with_loop(job)
    [study] = found
    examples = [one for batch in study["micro_batches"] for one in batch["examples"]]
    [bad] = [one for one in examples if one["loss"] == "nan"]
    assert bad["id"] == job.examples.records.id(index)
    assert bad["input_ids"] == [job.examples.encoded[index].tolist()]
    assert bad["record"] == {"text": job.examples.records["text"][index]}
    assert job.examples.targets is not None and bad["target"] == job.examples.targets[index]
    assert (study["step"], study["loss"]) == (2, "nan") and study["weights"]


def test_a_study_leaves_random_numbers_as_they_were(
    tiny: Any, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps after it draw the same dropout as if nothing had been studied."""
    states = []
    for studied in (True, False):
        with monkeypatch.context() as patch:
            if not studied:
                patch.setattr("welltuned.engines.gradients.study", lambda *_: {})
            training = {"num_train_epochs": 1, "max_skipped_steps": 1}
            job = job_for(tiny("bert"), few, {"type": "full"}, training=training)
            spoil(patch, "loss", reads(job.examples, int(job.batches.steps(0)[1][0][0])))
            torch_loop.fit_with_loop(job)
            states.append((torch.get_rng_state(), next(job.model.parameters()).detach().clone()))
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
