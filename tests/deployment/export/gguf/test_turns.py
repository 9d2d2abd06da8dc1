"""What stands around turns is found by asking a template, or the template is none of turns."""

from __future__ import annotations

import pytest

from talking import CHATML, DEAF, STRICT, THINKING, UNCLOSED, byte_tokenizer, chat
from welltuned.deployment.export.gguf.turns import Turns, turns_of

POLITE = (  # a system text of its own, where none is given
    "{% if messages[0].role != 'system' %}"
    "<|im_start|>system\nBe good.<|im_end|>{{ '\n' }}{% endif %}" + CHATML
)
COUNTING = "{% for m in messages %}{{ loop.index }}: {{ m.content }}{{ '\n' }}{% endfor %}"
LOUD = CHATML.replace("m.content", "m.content | upper")
NAMING = CHATML.replace("m.content", "m.content + m.content[:1]")
SYSTEM = {"role": "system", "content": "speak"}


def found(template: str) -> Turns:
    turns = turns_of(byte_tokenizer(template, bos_token="<s>"))
    assert turns is not None
    return turns


def test_each_part_of_a_template_is_found() -> None:
    assert found(CHATML) == Turns(
        start="",
        before_system="<|im_start|>system\n",
        after_system="<|im_end|>\n",
        user=("<|im_start|>user\n", "<|im_end|>\n"),
        assistant=("<|im_start|>assistant\n", "<|im_end|>\n"),
        ask="<|im_start|>assistant\n",
        takes_system=True,
    )


def test_what_stands_first_is_told_from_a_system_text() -> None:
    turns = found("{{ bos_token }}" + POLITE)
    assert turns.start == "<s><|im_start|>system\nBe good.<|im_end|>\n"
    assert turns.before_system == "<s><|im_start|>system\n"
    assert turns.written([SYSTEM, *chat("a")]) == (
        "<s><|im_start|>system\nspeak<|im_end|>\n<|im_start|>user\na<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_an_answer_may_be_asked_for_otherwise_than_earlier_ones_begin() -> None:
    turns = found(THINKING)
    assert turns.assistant[0] == "<|im_start|>assistant\n"
    assert turns.ask == "<|im_start|>assistant\n<think>\n"


def test_a_template_that_refuses_a_system_text_takes_none() -> None:
    turns = found(STRICT)
    assert not turns.takes_system and turns.user == found(CHATML).user


@pytest.mark.parametrize("template", [CHATML, POLITE, UNCLOSED, THINKING, STRICT])
def test_a_conversation_is_written_as_the_template_writes_it(template: str) -> None:
    tokenizer, turns = byte_tokenizer(template, bos_token="<s>"), found(template)
    talks = [chat("was it good"), chat("a: b\nc", "d", "e", "f", "g")]
    talks += [[SYSTEM, *talk] for talk in talks if turns.takes_system]
    for talk in talks:
        theirs = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
        assert turns.written(talk) == theirs


@pytest.mark.parametrize("template", [None, DEAF, COUNTING, LOUD, NAMING])
def test_a_template_that_does_more_than_part_turns_is_none_of_turns(template: str | None) -> None:
    assert turns_of(byte_tokenizer(template)) is None
