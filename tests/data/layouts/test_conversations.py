"""Instruction and conversation formats."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from faults import full, noted
from support import write_rows
from welltuned.data.config import DataConfig
from welltuned.data.layouts.conversations import convert_conversations
from welltuned.data.layouts.message_parsing import as_turns
from welltuned.data.sources import read_file
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.schema.messages import message

USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}
CHAT = [USER, ANSWER]
AS_IT_WAS = message("data.as_it_was", "as it was")


def tried(
    rows: list[dict[str, Any]], columns: dict[str, str] | None = None, **options: Any
) -> tuple[Table, list[str]]:
    header = list(dict.fromkeys(name for row in rows for name in row))
    cells = {name: [row.get(name) for row in rows] for name in header}
    faults = Faults()
    table = Table("a.jsonl", cells, list(range(1, len(rows) + 1)), (AS_IT_WAS,))
    result = convert_conversations(table, columns or {}, faults, **options)
    return result, full(faults)


def converted(*rows: dict[str, Any], **options: Any) -> Table:
    table, faults = tried(list(rows), **options)
    assert faults == []
    return table


def faults_of(*rows: dict[str, Any], **options: Any) -> list[str]:
    table, faults = tried(list(rows), **options)
    assert len(table) == 0
    return faults


def messages_of(*rows: dict[str, Any], **options: Any) -> list[tuple[str, str]]:
    """The first row's turns as (role, content)."""
    said = converted(*rows, **options).columns["messages"][0]
    return [(message["role"], message["content"]) for message in said]


# --- Formats -------------------------------------------------------------------


def test_alpaca_is_a_question_with_its_input_and_an_answer() -> None:
    row = {"instruction": "Add.", "input": "1 2", "output": "3"}
    assert messages_of(row) == [("user", "Add.\n1 2"), ("assistant", "3")]


def test_alpaca_without_input_is_the_instruction_alone() -> None:
    wanted = [("user", "Hi"), ("assistant", "Hello")]
    assert messages_of({"instruction": "Hi", "input": "", "output": "Hello"}) == wanted
    assert messages_of({"instruction": "Hi", "output": "Hello"}) == wanted


def test_alpaca_may_have_a_system_text_and_earlier_turns() -> None:
    row = {"instruction": "c", "output": "d", "system": "s", "history": [["a", "b"]]}
    assert messages_of(row) == [
        ("system", "s"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("human", "user"),
        ("gpt", "assistant"),
        ("system", "system"),
        ("function_call", "assistant"),
        ("observation", "tool"),
        ("tool", "tool"),
        ("Human", "user"),
        ("developer", "system"),
    ],
)
def test_roles_have_many_names(theirs: str, ours: str) -> None:
    turns = [{"from": theirs, "value": "x"}, {"from": "gpt", "value": "y"}]
    assert messages_of({"conversations": turns})[0] == (ours, "x")


def test_a_system_column_stands_before_the_turns_that_have_none() -> None:
    assert messages_of({"conversations": CHAT, "system": "s"})[0] == ("system", "s")
    own = [{"role": "system", "content": "own"}, *CHAT]
    assert messages_of({"messages": own, "system": "s"})[0] == ("system", "own")
    assert messages_of({"messages": CHAT, "system": None})[0] == ("user", "Hi")


def test_content_in_parts_is_put_together() -> None:
    parts = [{"type": "text", "text": "He"}, {"type": "text", "text": "llo"}]
    answer = {"role": "assistant", "content": parts}
    assert messages_of({"messages": [USER, answer]})[1] == ("assistant", "Hello")


def test_calls_of_tools_are_written_as_json() -> None:
    call = {"type": "function", "function": {"name": "weather", "arguments": '{"city": "巴黎"}'}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    said = messages_of({"messages": [USER, answer]})[1]
    assert said == ("assistant", '{"name": "weather", "arguments": {"city": "巴黎"}}')


def test_prompt_and_completion_are_kept_as_they_are() -> None:
    table = converted({"prompt": "2+2=", "completion": "4"})
    assert table.columns == {
        "text": ["2+2=4"],
        "messages": [None],
        "prompt": ["2+2="],
        "completion": ["4"],
    }


def test_a_question_and_its_answer_do_not_touch() -> None:
    table = converted({"question": "2+2?", "answer": 4}, {"question": "2+2? ", "answer": "4"})
    assert table.columns["prompt"] == ["2+2?\n", "2+2? "]
    assert table.columns["completion"] == ["4", "4"]
    told = "data.line_break_between source=a.jsonl columns=question and answer"
    assert told in noted(table.notes)


def test_what_the_user_maps_as_prompt_is_taken_literally() -> None:
    columns = {"prompt": "question", "completion": "answer"}
    table = converted({"question": "2+2=", "answer": "4"}, columns=columns)
    assert table.columns["prompt"] == ["2+2="]


def test_prompt_and_completion_that_are_turns_are_a_conversation() -> None:
    wanted = [("user", "Hi"), ("assistant", "Hello")]
    assert messages_of({"prompt": [USER], "completion": [ANSWER]}) == wanted
    assert messages_of({"prompt": [USER], "completion": "Hello"}) == wanted


@pytest.mark.parametrize("name", ["text", "content", "story", "Text"])
def test_plain_text_is_all_completion(name: str) -> None:
    table = converted({name: "Once upon a time"})
    assert table.columns["prompt"] == [""]
    assert table.columns["completion"] == ["Once upon a time"]


def test_every_format_gives_the_same_columns_and_keeps_ids_groups_lines_and_notes() -> None:
    rows: list[dict[str, Any]] = [
        {"messages": CHAT},
        {"conversations": CHAT},
        {"instruction": "Hi", "output": "Hello"},
        {"prompt": "Hi", "completion": "Hello"},
        {"text": "Hi"},
    ]
    for row in rows:
        table = converted({**row, "id": 7, "who": "me"}, columns={"group": "who"})
        assert set(table.columns) == {"text", "messages", "prompt", "completion", "id", "group"}
        assert (table.columns["id"], table.columns["group"]) == ([7], ["me"])
        assert (table.source, table.lines, table.notes[0]) == ("a.jsonl", [1], AS_IT_WAS)


def test_the_text_is_everything_that_is_said() -> None:
    assert converted({"messages": CHAT}).columns["text"] == ["Hi\nHello"]


def test_nested_cells_of_a_csv_are_json(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["messages"], [json.dumps(CHAT)], ["oops"]])
    faults = Faults()
    table = read_file(str(path), DataConfig(train=str(path)), faults)
    assert table is not None
    convert_conversations(table, {}, faults)
    (fault,) = faults
    assert full(faults) == ["a.csv:3 data.cell_not_a_list column=messages found=text"]
    assert fault.remedy == """write 'messages' as [{"role": "user", "content": "…"}, …]"""


# --- Recognition ---------------------------------------------------------------


def test_conversations_are_preferred_to_their_flattened_copies() -> None:
    table = converted({"prompt": "Hi", "completion": "Hello", "messages": CHAT})
    assert table.columns["messages"] == [CHAT]
    told = "data.columns_not_read source=a.jsonl columns=prompt, completion"
    assert told in noted(table.notes)


def test_what_the_user_maps_wins_over_names() -> None:
    row = {"Frage": "Hi", "Antwort": "Hello", "text": "x"}
    columns = {"instruction": "Frage", "output": "Antwort"}
    assert messages_of(row, columns=columns) == [("user", "Hi"), ("assistant", "Hello")]


def test_a_mapped_role_chooses_the_format() -> None:
    row = {"instruction": "Hi", "output": "Hello"}
    table = converted(row, columns={"text": "output"})
    assert table.columns["completion"] == ["Hello"]
    assert table.columns["messages"] == [None]


def test_a_format_that_is_asked_for_is_the_only_one_tried() -> None:
    row = {"instruction": "Hi", "output": "Hello", "text": "Once"}
    assert converted(row, format="text").columns["completion"] == ["Once"]
    assert faults_of(row, format="sharegpt") == [
        "a.jsonl:1 data.format_not_recognised columns=instruction, output, text mapped="
        " known=ShareGPT (conversations)"
    ]


def test_unknown_columns_are_told_with_the_known_ones() -> None:
    (fault,) = faults_of({"foo": "a", "bar": "b"})
    assert "data.format_not_recognised columns=foo, bar" in fault
    assert "Alpaca (instruction, output)" in fault
    assert "prompt and completion (prompt, completion)" in fault


def test_roles_and_columns_that_do_not_exist_are_refused() -> None:
    row = {"instruction": "Hi", "output": "Hello"}
    assert "did you mean 'output'?" in faults_of(row, columns={"ouput": "output"})[0]
    assert "did you mean 'output'?" in faults_of(row, columns={"output": "outptu"})[0]


def test_what_was_found_and_what_was_not_read_is_noted() -> None:
    answer = {**ANSWER, "mood": 0, "name": None}
    notes = converted({"messages": [USER, answer], "tools": "[]", "label": True}).notes
    assert noted(notes)[1:] == [
        "data.read_as_layout source=a.jsonl title=OpenAI messages columns=messages, tools",
        "data.columns_not_read source=a.jsonl columns=label",
        "data.keys_not_read source=a.jsonl keys=mood",
    ]


# --- Bad input -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("turns", "what"),
    [
        ([{"role": "critic", "content": "x"}, ANSWER], "data.turn_role_unknown role=critic"),
        ([{"content": "x"}, ANSWER], "data.turn_without_role"),
        ([USER], "data.no_assistant_turn"),
        ([], "data.no_assistant_turn"),
        ("Hi", "data.cell_not_a_list column=messages found=text"),
        ({"role": "user"}, "data.cell_not_a_list column=messages found=an object"),
        (None, "data.cell_not_a_list column=messages found=null"),
        ([USER, "Hello"], "data.turn_not_an_object column=messages found=text"),
        ([USER, {"role": "assistant"}], "data.turn_without_content role=assistant"),
        (
            [USER, {"role": "assistant", "content": 3}],
            "data.turn_content_not_text role=assistant found=int",
        ),
        (
            [USER, {"role": "assistant", "content": [{"type": "image_url"}]}],
            "data.turn_part_not_text kind=image_url",
        ),
    ],
)
def test_a_bad_conversation_is_a_fault_with_its_line(turns: Any, what: str) -> None:
    (fault,) = faults_of({"messages": CHAT}, {"messages": turns})
    assert fault.startswith("a.jsonl:2 ")
    assert what in fault


@pytest.mark.parametrize("key", ["text", "value", "content"])
def test_parts_of_text_are_read_whatever_their_key(key: str) -> None:
    parts = [{"type": "text", key: "Hel"}, {"type": "text", key: "lo"}, "!"]
    turns = as_turns([{"role": "user", "content": parts}, ANSWER], "messages")
    assert turns[0]["content"] == "Hello!"


def test_bad_rows_of_one_kind_are_counted() -> None:
    faults = faults_of(*[{"messages": [USER]}] * 13)
    assert len(faults) == 11
    assert faults[-1] == "a.jsonl data.no_assistant_turn more=3"


def test_a_cell_that_should_be_text_is_a_fault() -> None:
    (fault,) = faults_of({"instruction": ["a"], "output": "b"})
    assert "data.cell_not_text column=instruction" in fault
    (fault,) = faults_of({"instruction": "a", "output": "b", "history": ["x"]})
    assert "data.history_not_pairs column=history" in fault


@pytest.mark.parametrize(
    "empty",
    [
        {"instruction": "Hi", "output": " "},
        {"instruction": "Hi", "output": None},
        {"instruction": "Hi", "output": float("nan")},
    ],
)
def test_an_empty_answer_is_left_out_and_counted(empty: dict[str, Any]) -> None:
    table = converted({"instruction": "Hi", "output": "Hello"}, empty)
    assert table.lines == [1]
    assert noted(table.notes)[-1] == "data.empty_answers source=a.jsonl number=1 lines=2"


def test_one_empty_answer_among_several_leaves_the_conversation_out() -> None:
    turns = [USER, {"role": "assistant", "content": ""}, USER, ANSWER]
    assert converted({"messages": turns}, {"messages": CHAT}).lines == [2]


def test_rows_that_are_wholly_empty_are_left_for_others_to_count() -> None:
    table = converted({"prompt": "", "completion": " "}, {"prompt": "a", "completion": "b"})
    assert table.lines == [1, 2]
    assert table.columns["text"][0].strip() == ""


def test_a_file_of_empty_answers_is_a_fault() -> None:
    (fault,) = faults_of({"instruction": "Hi", "output": ""})
    assert fault == "a.jsonl:1 data.no_answers"


@pytest.mark.parametrize(
    "row", [{"messages": [USER]}, {"instruction": "Hi"}, {"prompt": [USER]}, {"prompt": "Hi"}]
)
def test_questions_need_no_answers_where_nothing_is_learned(row: dict[str, Any]) -> None:
    table = converted(row, answers=False)
    if table.columns["messages"][0] is None:
        assert (table.columns["prompt"], table.columns["completion"]) == (["Hi"], [None])
    else:
        assert table.columns["messages"] == [[USER]]
    assert len(faults_of(row)) == 1


# --- Real data -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "title", "rows", "chat"),
    [
        ("instruct_en_alpaca/validation.jsonl", "Alpaca", 500, True),
        ("instruct_zh_alpaca/validation.jsonl", "Alpaca", 400, True),
        ("chat_en_glaive/train.jsonl", "OpenAI messages", 202, True),
        ("chat_zh_glaive/train.jsonl", "OpenAI messages", 197, True),
        ("llamafactory_demo/alpaca_zh_demo.json", "Alpaca", 1000, True),
        ("llamafactory_demo/identity.json", "Alpaca", 91, True),
        ("llamafactory_demo/kto_en_demo.json", "OpenAI messages", 300, True),
        ("math_en_gsm8k/test.jsonl", "prompt and completion", 500, False),
        ("text_en_tinystories/test.jsonl", "plain text", 100, False),
    ],
)
def test_real_files_are_recognised_and_read_whole(
    shared: Path, name: str, title: str, rows: int, chat: bool
) -> None:
    path, faults = str(shared / "data" / name), Faults()
    table = read_file(path, DataConfig(train=path), faults)
    assert table is not None
    result = convert_conversations(table, {}, faults)
    assert list(faults) == []
    assert len(result) == rows
    assert result.lines == table.lines
    first = result.notes[0]
    assert (first["code"], first["values"]["title"]) == ("data.read_as_layout", title)
    assert all((messages is not None) == chat for messages in result.columns["messages"])
    assert all(text.strip() for text in result.columns["text"])


def test_a_written_file_keeps_its_own_words(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"instruction": "「你好」", "output": "  indented\n"}])
    faults = Faults()
    table = read_file(path, DataConfig(train=path), faults)
    assert table is not None
    (messages,) = convert_conversations(table, {}, faults).columns["messages"]
    assert [message["content"] for message in messages] == ["「你好」", "  indented\n"]
