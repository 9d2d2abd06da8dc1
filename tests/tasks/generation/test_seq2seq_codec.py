"""Prompts and responses as an encoder-decoder reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faults import refused
from support import make_tokenizer
from welltuned.data.records import Records
from welltuned.data.tokens.encoding import IGNORED
from welltuned.tasks.generation.config import Generation
from welltuned.tasks.generation.seq2seq_codec import Seq2SeqCodec, asked_text, turns_as_text

END = 3
TALK = [
    {"role": "user", "content": "was it good"},
    {"role": "assistant", "content": "it was"},
    {"role": "user", "content": "so"},
    {"role": "assistant", "content": "very"},
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return make_tokenizer("encoder-decoder", "t5")


def plain(*pairs: tuple[str | None, str | None]) -> Records:
    columns: dict[str, list[Any]] = {
        "text": [f"{prompt or ''}{said or ''}" for prompt, said in pairs],
        "messages": [None] * len(pairs),
        "prompt": [prompt for prompt, _ in pairs],
        "completion": [said for _, said in pairs],
    }
    return Records("pairs.jsonl", columns, list(range(1, len(pairs) + 1)), ("text",))


def chats(*talks: list[dict[str, str]]) -> Records:
    columns: dict[str, list[Any]] = {
        "text": ["…"] * len(talks),
        "messages": list(talks),
        "prompt": [None] * len(talks),
        "completion": [None] * len(talks),
    }
    return Records("chats.jsonl", columns, list(range(1, len(talks) + 1)), ("text",))


def codec(style: Any, **keys: Any) -> Seq2SeqCodec:
    return Seq2SeqCodec(Generation(**keys), style)


def words(tokenizer: Any, ids: Any) -> str:
    return str(tokenizer.decode([token for token in ids if token != IGNORED]))


def test_a_row_holds_the_prompt_and_then_the_response_which_alone_is_learned(
    tokenizer: Any,
) -> None:
    examples = codec("plain").encode(tokenizer, plain(("was it good", " it was")), 16)
    assert words(tokenizer, examples.encoded[0]) == "was it good [SEP] it was [SEP]"
    assert words(tokenizer, examples.encoded.labels) == "it was [SEP]"
    assert examples.targets is not None and examples.targets.tolist() == [3]


def test_a_batch_parts_them_again(tokenizer: Any) -> None:
    given = codec("plain")
    examples = given.encode(tokenizer, plain(("good", "it was so"), ("was it good", "it")), 16)
    batch = given.collate(examples, [1, 0], 0)
    assert [words(tokenizer, row[row > 0]) for row in batch["input_ids"]] == [
        "was it good [SEP]",
        "good [SEP]",
    ]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert [words(tokenizer, row) for row in batch["labels"]] == ["it [SEP]", "it was so [SEP]"]
    assert batch["labels"][0, 2:].tolist() == [IGNORED] * 2


def test_prompt_and_response_lose_their_end_each_by_itself(tokenizer: Any) -> None:
    long = " ".join(["good"] * 9)
    examples = codec("plain").encode(tokenizer, plain((long, "it"), ("it", long)), 4)
    assert examples.targets is not None
    prompts, responses = (
        [int(end) for end in lengths]
        for lengths in (examples.lengths - examples.targets, examples.targets)
    )
    assert (prompts, responses) == ([4, 2], [2, 4])
    assert examples.cut.tolist() == [True, True]
    assert examples.encoded[0][3] == END, "what is read ends as the encoder knows it"
    assert examples.encoded[1][-1] != END, "nobody learns to stop in the middle"


def test_every_answer_of_a_conversation_is_a_response_to_all_before_it(tokenizer: Any) -> None:
    examples = codec("chat").encode(tokenizer, chats(TALK), 32)
    assert [words(tokenizer, row) for row in (examples.encoded[0], examples.encoded[1])] == [
        "was it good [SEP] it was [SEP]",
        "[UNK] [UNK] was it good [UNK] [UNK] it was [UNK] [UNK] so [SEP] very [SEP]",
    ]
    assert [len(turns) for turns in examples.records["messages"]] == [2, 4]
    last = codec("chat", train_on="last").encode(tokenizer, chats(TALK), 32)
    assert len(last) == 1 and last.records["messages"] == [TALK]


def test_an_answer_that_is_not_learned_or_that_answers_nothing_is_left_out(
    tokenizer: Any,
) -> None:
    unlearned = [TALK[0], {**TALK[1], "weight": "0"}]
    examples = codec("chat").encode(tokenizer, chats(unlearned, TALK[1:2], TALK[:2]), 32)
    assert examples.records.lines == [3]
    assert len(codec("chat").encode(tokenizer, chats(unlearned), 32)) == 0


def test_a_single_turn_is_read_as_it_stands_and_several_say_who_said_them() -> None:
    assert turns_as_text(TALK[:1]) == "was it good"
    assert turns_as_text(TALK[:2]) == "user: was it good\nassistant: it was"
    assert asked_text("chat", chats(TALK[:2]), 0) == "was it good"
    assert asked_text("chat", chats(TALK[:1]), 0) == "was it good"
    assert asked_text("plain", plain(("good", None)), 0) == "good"


def test_texts_without_any_prompt_are_refused(tokenizer: Any) -> None:
    with refused("task.prompt_needed"):
        codec("plain").encode(tokenizer, plain((None, "it was"), ("", "so")), 16)
    some = codec("plain").encode(tokenizer, plain((None, "it was"), ("good", "so")), 16)
    assert some.records.lines == [2]


def test_conversations_with_tools_are_refused_with_their_line(tokenizer: Any) -> None:
    called = [TALK[0], {**TALK[1], "tool_calls": "[]"}]
    with refused("task.tools_unsupported") as stopped:
        codec("chat").encode(tokenizer, chats(TALK, called), 16)
    assert "chats.jsonl:2" in str(stopped.value)


def test_a_special_token_that_is_written_in_a_text_stays_text(tokenizer: Any) -> None:
    examples = codec("plain").encode(tokenizer, plain(("good [SEP]", "so [SEP]")), 32)
    assert np.count_nonzero(examples.encoded.ids == END) == 2
