"""How many steps a training takes, planned before its first."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.data.batching import BatchPlan
from welltuned.engines.config import ResolvedTraining
from welltuned.engines.step_plan import StepPlan


@pytest.mark.parametrize(("steps", "tokens"), [(10**6, None), (500, 60), (1, 60)])
def test_a_long_training_is_planned_in_no_time(steps: int, tokens: int | None) -> None:
    """Epochs are counted in leaps, and none is begun in vain."""
    lengths = np.arange(3, 53)
    batches = BatchPlan(lengths, batch_size=8, max_tokens=tokens)
    some = ResolvedTraining(learning_rate=1, metric_for_best_model="f1", max_steps=steps)
    plan = StepPlan.of(batches, some)
    assert plan.total == steps
    assert sum(plan.steps_per_epoch[:-1]) < steps <= sum(plan.steps_per_epoch)
    epochs = len(plan.steps_per_epoch)
    assert list(plan.steps_per_epoch[:20]) == batches.count(min(epochs, 20))
