"""What a template lacks is added, said, and saved with the tokenizer."""

from __future__ import annotations

from typing import Any

from talking import CHATML, FORGETFUL, INSTRUCT, UNCLOSED, byte_tokenizer, chat, told
from welltuned.tasks.chat import (
    ensure_template,
    prompt_of,
    render_chat,
    stop_ids,
    tokenise_chat,
)
from welltuned.tasks.chat.mending import mended

NEVER_ASKING = CHATML.replace("add_generation_prompt", "false")


def test_answers_without_an_end_are_given_one_that_is_learned_asked_with_and_saved(
    tmp_path: Any,
) -> None:
    from transformers import AutoTokenizer

    tokenizer = byte_tokenizer(UNCLOSED)
    talk = chat("a", "b", "c", "d")
    assert "task.stop_not_learned" in told(tokenizer, talk)[0]
    assert not ensure_template(tokenizer) and mended(tokenizer) == ("end of turn",)
    assert told(tokenizer, talk) == ["task.end_of_turn_added token=</s>"]
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    ensure_template(again)
    assert again.chat_template == tokenizer.chat_template and mended(again) == mended(tokenizer)
    row = tokenise_chat(again, [render_chat(again, talk)], 10**6)
    assert row.ids.tolist().count(again.eos_token_id) == 2
    assert str(again.apply_chat_template(talk, tokenize=False)).count("</s>") == 2


def test_asking_is_added_to_a_template_that_does_not_hear_of_it() -> None:
    tokenizer = byte_tokenizer(NEVER_ASKING)
    ensure_template(tokenizer)
    assert mended(tokenizer) == ("generation prompt",)
    rendered = render_chat(tokenizer, chat("a", "b"))
    assert [rendered.text[a:b] for a, b in rendered.spans] == ["b<|im_end|>"]
    assert prompt_of(tokenizer, chat("a"))[0].text.endswith("<|im_start|>assistant\n")


def test_templates_that_need_nothing_are_left_alone() -> None:
    for template in (CHATML, INSTRUCT, FORGETFUL):
        tokenizer = byte_tokenizer(template)
        ensure_template(tokenizer)
        assert tokenizer.chat_template == template and mended(tokenizer) == ()


def test_an_end_that_is_no_token_of_the_tokenizer_is_no_end() -> None:
    tokenizer = byte_tokenizer(CHATML.replace("<|im_end|>", "<|fin|>"))
    assert stop_ids(tokenizer) == [tokenizer.eos_token_id]
    ensure_template(tokenizer)
    assert mended(tokenizer) == ("end of turn",)


def test_without_an_end_token_nothing_can_be_added_and_that_is_told() -> None:
    tokenizer = byte_tokenizer(UNCLOSED)
    tokenizer.eos_token = None
    ensure_template(tokenizer)
    (said,) = told(tokenizer, chat("a", "b"), chat("c", "d"))
    assert said == "task.stop_not_learned stops=none number=2 total=2 lines=1, 2"
    tokenizer.eos_token = "</s>"  # the remedy
    ensure_template(tokenizer)
    assert told(tokenizer, chat("a", "b")) == ["task.end_of_turn_added token=</s>"]
