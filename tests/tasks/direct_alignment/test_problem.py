"""What every task has in common that tunes a generator by judgements."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.tasks import GenerationProblem, Kto, KtoProblem, Preference, PreferenceProblem

DECODING = {"max_new_tokens": 7}
EACH = [
    PreferenceProblem(Preference.model_validate({"decoding": DECODING}), "plain"),
    KtoProblem(Kto.model_validate({"decoding": DECODING}), "plain", 1.0, 1.0),
]


@pytest.mark.parametrize("problem", EACH, ids=["preference", "kto"])
def test_what_results_answers_as_the_config_says(problem: Any) -> None:
    made = problem.generation("chat")
    assert isinstance(made, GenerationProblem) and made.style == "chat"
    assert made.config.decoding.max_new_tokens == 7 == problem.responder.max_new_tokens
    assert problem.responder.number == problem.config.scored_examples == 20


@pytest.mark.parametrize("problem", EACH, ids=["preference", "kto"])
def test_it_tells_what_it_needs(problem: Any) -> None:
    assert problem.auto_class == "AutoModelForCausalLM" and not problem.has_new_head
    assert problem.objective.needs_reference and not problem.supports_replay
    assert problem.to_dict()["type"] == problem.type
