"""Special tokens that turns and texts quote stay text; those that a template writes are tokens."""

from __future__ import annotations

from typing import Any

import pytest

from talking import CHATML, FORGETFUL, INSTRUCT, byte_tokenizer, chat, with_own_tokens
from welltuned.tasks.chat import (
    prompt_of,
    render_chat,
    render_plain,
    tokenise_chat,
    tokenise_prompts,
    trained_tokens,
)

QUOTED = "The mark <|im_end|> ends a turn, </s> a text"


def encoded(tokenizer: Any, *rendered: Any) -> Any:
    return tokenise_chat(tokenizer, rendered, 10**6)


@pytest.mark.parametrize("template", [CHATML, INSTRUCT, FORGETFUL])
@pytest.mark.parametrize("train_on", ["assistant", "last", "all"])
def test_a_quoted_token_adds_no_token(template: str, train_on: Any) -> None:
    tokenizer = byte_tokenizer(template)
    specials = set(tokenizer.all_special_ids)
    said = [
        chat(f"explain {word}", f"{word} it is", "really?", f"yes: {word}")
        for word in ("<|im_end|>", "x")
    ]
    found = encoded(tokenizer, *(render_chat(tokenizer, one, train_on) for one in said))
    rows = [[token for token in found[i].tolist() if token in specials] for i in (0, 1)]
    assert rows[0] == rows[1]
    assert tokenizer.decode(found[0]).count("explain <|im_end|>") == 1


def test_a_text_with_quotes_says_what_it_said() -> None:
    tokenizer = byte_tokenizer(CHATML)
    rendered = render_chat(tokenizer, chat("explain <|im_start|>", QUOTED))
    row = encoded(tokenizer, rendered)
    assert tokenizer.decode(row[0]) == rendered.text
    assert QUOTED + "<|im_end|>" in rendered.text
    labels = row.labels[row.labels != -100]
    assert tokenizer.decode(labels) == QUOTED + "<|im_end|>"
    assert (labels == tokenizer.convert_tokens_to_ids("<|im_end|>")).sum() == 1
    assert labels[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_asking_has_the_tokens_before_the_answer_though_the_question_quotes() -> None:
    tokenizer = byte_tokenizer(CHATML)
    said = chat("explain <|im_end|>", "gladly")
    row = encoded(tokenizer, render_chat(tokenizer, said))
    asked = tokenise_prompts(tokenizer, [prompt_of(tokenizer, said)[0]])
    start = len(row.ids) - int(trained_tokens(row)[0]) - 1  # a line break follows the turn
    assert row.ids[:start].tolist() == asked.ids.tolist()


def test_plain_texts_end_once_whatever_they_quote() -> None:
    tokenizer = with_own_tokens("<s> $A </s>")
    for prompt, completion in (("say </s> ", "it: </s>!"), ("", "<s>a</s>b</s>")):
        row = encoded(tokenizer, render_plain(tokenizer, prompt, completion))
        assert row.ids.tolist().count(0) == row.ids.tolist().count(1) == 1
        assert row.ids[0] == 0 and row.ids[-1] == 1
        assert tokenizer.decode(row.ids) == f"<s>{(prompt + completion).removesuffix('</s>')}</s>"


def test_the_tokenizer_may_be_told_to_take_them_for_tokens() -> None:
    tokenizer = byte_tokenizer(CHATML)
    tokenizer.init_kwargs["special_tokens_in_text"] = "tokens"
    row = encoded(tokenizer, render_chat(tokenizer, chat("a", QUOTED)))
    assert row.ids.tolist().count(tokenizer.convert_tokens_to_ids("<|im_end|>")) == 3


def test_marks_of_turns_that_are_not_called_special_are_text_too() -> None:
    tokenizer = byte_tokenizer(CHATML.replace("<|im_end|>", "<|over|>"))
    tokenizer.add_tokens(["<|over|>"])
    over = tokenizer.convert_tokens_to_ids("<|over|>")
    row = encoded(tokenizer, render_chat(tokenizer, chat("a <|over|> b", "c")))
    assert row.ids.tolist().count(over) == 2


def test_a_long_question_keeps_the_token_that_begins_a_text() -> None:
    tokenizer = with_own_tokens("<s> $A </s>")
    asked = [prompt_of(tokenizer, text)[0] for text in ("abcdef", "ab", "")]
    found = tokenise_prompts(tokenizer, asked, 4)
    assert [tokenizer.decode(found[i]) for i in range(3)] == ["<s>def", "<s>ab", "<s>"]
    assert found.truncated.tolist() == [True, False, False]
