"""What a tuned model cannot give is said in whole sentences, each with a way out."""

from __future__ import annotations

import pytest

from welltuned.artifact.refusals import no_rewards, no_text, nothing_to_score, unequal_numbers
from welltuned.errors import Fault


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            no_rewards("classification"),
            "the model does classification and gives no rewards -> give a run of task reward "
            "[predict.not_a_reward_model]",
        ),
        (
            unequal_numbers(2, 1),
            "2 prompts but 1 responses -> give one response for each prompt "
            "[predict.prompts_and_responses_differ]",
        ),
        (
            no_text("classification"),
            "the model does classification and cannot chat -> use `welltuned predict` "
            "[predict.not_generative]",
        ),
        (
            nothing_to_score("a.jsonl", 16),
            "a.jsonl: no example can be scored within 16 tokens -> check the file with "
            "`welltuned data` [predict.nothing_to_score]",
        ),
    ],
)
def test_it_is_told_with_what_to_do(fault: Fault, said: str) -> None:
    assert str(fault) == said
