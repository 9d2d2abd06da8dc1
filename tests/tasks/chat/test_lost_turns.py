"""Turns that a template leaves out are counted, and refused where they were to be learned."""

from __future__ import annotations

from faults import refused
from talking import CHATML, FORGETFUL, byte_tokenizer, chat, told
from welltuned.tasks.chat import (
    render_chat,
)

NO_SYSTEM = CHATML.replace("in messages %}", "in messages if m.role != 'system' %}")
NO_TOOLS = CHATML.replace("in messages %}", "in messages if m.role != 'tool' %}")
LAST_ANSWER_ALONE = CHATML.replace(
    "in messages %}", "in messages if m.role != 'assistant' or loop.last %}"
).replace("loop.last", "m == messages[-1]")
SYSTEM = {"role": "system", "content": "Answer in style 0"}
TOOL = {"role": "tool", "content": '{"time": "12:00"}'}


def test_lost_turns_are_counted_by_role_with_their_lines() -> None:
    talks = [[SYSTEM, *chat("a", "b")], chat("a", "b"), [SYSTEM, *chat("a", "b")]]
    assert told(byte_tokenizer(NO_SYSTEM), *talks) == [
        "task.turns_lost role=system number=2 lines=1, 3"
    ]
    assert told(byte_tokenizer(CHATML), *talks) == []


def test_a_lost_turn_is_counted_though_another_says_the_same() -> None:
    twin = {"role": "system", "content": "a"}
    assert told(byte_tokenizer(NO_SYSTEM), [twin, *chat("a", "b")]) == [
        "task.turns_lost role=system number=1 lines=1"
    ]


def test_what_tools_say_is_looked_for_too() -> None:
    talk = [*chat("a", "b"), TOOL, *chat("c", first="other")]
    assert told(byte_tokenizer(NO_TOOLS), talk) == ["task.turns_lost role=tool number=1 lines=1"]
    as_json = CHATML.replace("m.content", "(m.content | tojson)")
    assert render_chat(byte_tokenizer(as_json), [SYSTEM, TOOL], "all").lost == ()


def test_reasoning_that_is_left_out_of_earlier_answers_is_counted() -> None:
    thinking = chat("a", "<think>hm</think>\n\nb", "c", "<think>so</think>\n\nd")
    assert told(byte_tokenizer(FORGETFUL), thinking)[0] == (
        "task.turns_lost role=reasoning number=1 lines=1"
    )


def test_an_answer_that_is_lost_is_refused_where_it_is_learned_and_counted_elsewhere() -> None:
    tokenizer, talk = byte_tokenizer(LAST_ANSWER_ALONE), chat("q", "first", "r", "second")
    with refused("task.chat_template_loses_answer"):
        render_chat(tokenizer, talk)
    assert "task.turns_lost role=assistant number=1 lines=1" in told(
        tokenizer, talk, train_on="last"
    )
    talk[1]["weight"] = "0"
    rendered = render_chat(tokenizer, talk)
    assert [rendered.text[a:b] for a, b in rendered.spans] == ["second<|im_end|>"]
