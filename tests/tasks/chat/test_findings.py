"""What is told of real conversations before training: prompts that are not as they were learned."""

from __future__ import annotations

import pytest

from talking import THINKING, byte_tokenizer, chat, told


def test_prompts_that_begin_a_thought_no_answer_has_are_told() -> None:
    talks = [chat("a", "b"), chat("a", "c")]
    said = told(byte_tokenizer(THINKING), *talks)
    assert said == ["task.asked_otherwise number=2 total=2 lines=1, 2"]


@pytest.mark.parametrize("number", [1, 100])
def test_only_some_conversations_are_asked(number: int) -> None:
    said = told(byte_tokenizer(THINKING), *[chat("a", "b")] * number)[0]
    assert f"total={min(number, 32)} " in said
