"""Answers of the generator that results."""

from __future__ import annotations

from welltuned.tasks.direct_alignment.responder import PromptResponder, generation_of
from welltuned.tasks.generation import Decoding


def test_it_answers_as_it_is_told_to() -> None:
    responder = PromptResponder(Decoding(max_new_tokens=7, temperature=0.5), 20, "plain")
    changed = responder.decoding_as(max_new_tokens=3)
    assert (changed.max_new_tokens, responder.max_new_tokens) == (3, 7)
    assert changed.decoding.temperature == 0.5 and changed.number == 20


def test_what_results_is_generation() -> None:
    problem = generation_of(Decoding(max_new_tokens=7), 5, "chat")
    assert problem.style == "chat" and problem.config.scored_examples == 5
    assert problem.responder.max_new_tokens == 7
