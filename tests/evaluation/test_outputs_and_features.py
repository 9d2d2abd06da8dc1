"""Outputs and features of one pass: those of two passes, whatever a strategy has put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support import STRATEGIES, loaded_for
from welltuned.evaluation.features import pooled_states
from welltuned.evaluation.outputs_and_features import outputs_and_features
from welltuned.evaluation.predict import predict_outputs


@pytest.mark.parametrize(("family", "strategy"), [("bert", "lora"), ("llama", "full")])
def test_they_are_what_two_passes_give(family: str, strategy: str, tiny: Any, few: str) -> None:
    loaded = loaded_for(tiny(family), few, STRATEGIES[strategy])
    plan, examples = loaded.prepared, loaded.prepared.examples["train"]
    asked = loaded.model, plan.problem, examples, plan.pad_id, 8
    outputs_NK, features_NH = outputs_and_features(*asked)
    np.testing.assert_allclose(outputs_NK, predict_outputs(*asked), atol=1e-5)
    states = pooled_states(
        loaded.model, plan.anatomy, examples.encoded, plan.pad_id, "mean", 8, last_only=True
    )
    np.testing.assert_allclose(features_NH, states[0], atol=1e-5)


@pytest.mark.parametrize("strategy", ["prompt", "prefix"])
def test_a_text_has_features_beside_a_prompt_and_a_prefix(
    strategy: str, tiny: Any, few: str
) -> None:
    loaded = loaded_for(tiny("bert"), few, STRATEGIES[strategy])
    plan, examples = loaded.prepared, loaded.prepared.examples["train"].take(range(6))
    _, features_NH = outputs_and_features(loaded.model, plan.problem, examples, plan.pad_id, 3)
    assert features_NH.shape == (6, plan.anatomy.hidden_size) and np.isfinite(features_NH).all()
    assert len(np.unique(features_NH.round(4), axis=0)) == 6
