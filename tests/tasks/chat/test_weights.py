"""Turns whose file says `weight` or `train`: what is learned of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import full, noted
from talking import CHATML, FORGETFUL, INSTRUCT, byte_tokenizer, chat
from welltuned.data.config import DataConfig
from welltuned.data.layouts.conversations import convert_conversations
from welltuned.data.records import Records
from welltuned.data.sources import read_file
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.tasks.chat import render_chat
from welltuned.tasks.generation.codec import reference_of


def weighed(*weights: object, key: str = "weight") -> list[dict[str, Any]]:
    """Two questions with an answer each; None leaves the key away."""
    turns: list[dict[str, Any]] = [dict(turn) for turn in chat("a", "bad", "again", "good")]
    for index, weight in zip((1, 3), weights, strict=True):
        if weight is not None:
            turns[index][key] = weight
    return turns


def read(tmp_path: Path, *rows: list[dict[str, Any]]) -> tuple[Table, Faults]:
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    faults = Faults()
    table = read_file(str(file), DataConfig(train=str(file)), faults)
    assert table is not None
    return convert_conversations(table, {}, faults), faults


def learned(messages: Any, train_on: Any = "assistant", template: str = CHATML) -> list[str]:
    rendered = render_chat(byte_tokenizer(template), messages, train_on)
    return [rendered.text[start:end] for start, end in rendered.spans]


@pytest.mark.parametrize("template", [CHATML, INSTRUCT, FORGETFUL])
@pytest.mark.parametrize(
    ("key", "no", "yes"), [("weight", 0, 1), ("weight", 0.0, 1.0), ("train", False, True)]
)
def test_a_turn_without_weight_is_read_and_not_learned(
    tmp_path: Path, template: str, key: str, no: object, yes: object
) -> None:
    table, faults = read(tmp_path, weighed(no, yes, key=key), weighed(no, None, key=key))
    assert not len(faults)
    for messages in table.columns["messages"]:
        (last,) = learned(messages, template=template)
        assert "good" in last and "bad" not in last
        assert "bad" in render_chat(byte_tokenizer(template), messages).text
    assert "data.turns_not_learned source=a.jsonl number=2" in noted(table.notes)


def test_the_template_hears_nothing_of_weights(tmp_path: Path) -> None:
    table, _ = read(tmp_path, weighed(0, 1))
    template = "{% for m in messages %}{{ m | length }}{{ m.content }}{{ eos_token }}{% endfor %}"
    text = render_chat(byte_tokenizer(template), table.columns["messages"][0]).text
    assert text.startswith("2a</s>2bad</s>")


def test_all_but_the_turns_without_weight_is_learned_where_everything_is(tmp_path: Path) -> None:
    table, _ = read(tmp_path, weighed(0, 1))
    messages = table.columns["messages"][0]
    parts = learned(messages, "all")
    assert len(parts) == 2 and "bad" not in "".join(parts) and "again" in parts[1]
    messages = [{**messages[0], "weight": "0"}, *messages[1:]]
    assert learned(messages, "all")[0].startswith("<|im_start|>assistant")


def test_the_last_answer_is_not_learned_for_another(tmp_path: Path) -> None:
    table, _ = read(tmp_path, weighed(1, 0))
    messages = table.columns["messages"][0]
    assert learned(messages, "last") == []
    assert learned(messages) == ["bad<|im_end|>"]


def test_an_answer_without_weight_is_no_reference(tmp_path: Path) -> None:
    table, _ = read(tmp_path, weighed(1, 0), weighed(0, 1))
    records = Records("a", dict(table.columns), [1, 2], ("text",))
    assert [reference_of("chat", records, i) for i in (0, 1)] == [None, "good"]


def test_examples_in_which_nothing_has_weight_are_left_out_and_counted(tmp_path: Path) -> None:
    table, _ = read(tmp_path, weighed(0, 0), weighed(0, 1))
    assert table.lines == [2]
    assert "data.weightless_left_out source=a.jsonl number=1 lines=1" in noted(table.notes)
    table, faults = read(tmp_path, weighed(0, 0))
    assert full(faults) == ["a.jsonl:1 data.no_answers"]


@pytest.mark.parametrize("weight", [0.5, 2, -1, "high", [1]])
def test_other_weights_are_refused_and_the_remedy_works(tmp_path: Path, weight: object) -> None:
    _, faults = read(tmp_path, weighed(weight, 1))
    assert full(faults) == [f"a.jsonl:1 data.turn_weight key=weight value={weight}"]
    _, faults = read(tmp_path, weighed(1, 1))
    assert not len(faults)


def test_keys_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    turns = weighed(0, 1)
    turns[1]["train"] = True
    _, faults = read(tmp_path, turns)
    assert full(faults) == ["a.jsonl:1 data.turn_weights_contradict weight=0 train=True"]
