"""Judged responses: preferences, rankings and ratings, however files write them."""

from __future__ import annotations

from typing import Any

import pytest

from faults import full, noted
from welltuned.data.config import DataConfig
from welltuned.data.layouts.preferences import PreferencePair, convert_preferences
from welltuned.data.sources import read_file
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.schema.messages import message

AS_IT_WAS = message("data.as_it_was", "as it was")
PAIR = {"prompt": "Hi?", "chosen": "yes", "rejected": "no"}
USER, YES, NO = (
    {"role": role, "content": text}
    for role, text in (("user", "Hi?"), ("assistant", "yes"), ("assistant", "no"))
)


def tried(
    *rows: dict[str, Any], columns: dict[str, str] | None = None, **options: Any
) -> tuple[Table, list[str]]:
    header = list(dict.fromkeys(name for row in rows for name in row))
    cells = {name: [row.get(name) for row in rows] for name in header}
    faults = Faults()
    table = Table("a.jsonl", cells, list(range(1, len(rows) + 1)), (AS_IT_WAS,))
    return convert_preferences(table, columns or {}, faults, **options), full(faults)


def converted(*rows: dict[str, Any], **options: Any) -> Table:
    table, faults = tried(*rows, **options)
    assert faults == []
    return table


def fault_of(*rows: dict[str, Any], **options: Any) -> str:
    table, faults = tried(*rows, **options)
    assert len(table) == 0 and len(faults) == 1
    return faults[0]


def record(table: Table, index: int = 0) -> dict[str, Any]:
    return {name: cells[index] for name, cells in table.columns.items()}


# --- Shapes --------------------------------------------------------------------


def test_a_pair_is_a_prompt_with_two_responses_the_better_first() -> None:
    assert record(converted(PAIR)) == {
        "text": "Hi?",
        "prompt": "Hi?",
        "messages": None,
        "responses": ["yes", "no"],
        "pairs": [PreferencePair(0, 1, 0.0, 1.0, 1)],
    }


def test_r5_all_pairs_of_a_prompt_are_one_record_and_each_response_is_there_once() -> None:
    """(R5) Wherever in the file they stand."""
    other = {"prompt": "Bye?", "chosen": "ok", "rejected": "no"}
    table = converted(PAIR, other, {**PAIR, "chosen": "well", "rejected": "yes"})
    assert [len(table), table.lines] == [2, [1, 2]]
    assert record(table)["responses"] == ["yes", "no", "well"]
    assert record(table)["pairs"] == [
        PreferencePair(0, 1, 0.0, 1.0, 1),
        PreferencePair(2, 0, 0.0, 1.0, 3),
    ]
    assert "data.pairs_found source=a.jsonl pairs=3 prompts=2" in noted(table.notes)


def test_r5_a_ranking_of_k_is_all_its_pairs_which_weigh_one_together() -> None:
    """(R5) C(K, 2) of them."""
    table = converted({"prompt": "Hi?", "responses": ["a", "b", "c"]})
    third = pytest.approx(1 / 3)
    assert [pair[:2] for pair in record(table)["pairs"]] == [(0, 1), (0, 2), (1, 2)]
    assert [pair.weight for pair in record(table)["pairs"]] == [third] * 3


def test_of_a_ranking_responses_that_are_the_same_make_no_pair() -> None:
    pairs = record(converted({"prompt": "Hi?", "responses": ["a", "b", "b "]}))["pairs"]
    assert [pair[:2] for pair in pairs] == [(0, 1), (0, 2)]
    assert [pair.weight for pair in pairs] == [0.5, 0.5]


def test_a_margin_is_read_and_none_is_zero() -> None:
    rows = [{**PAIR, "margin": margin, "prompt": str(margin)} for margin in (2, "0.5", None)]
    table = converted(*rows)
    assert [pairs[0].margin for pairs in table.columns["pairs"]] == [2, 0.5, 0]


def test_a_rating_is_one_response_with_its_score() -> None:
    row = {"prompt": "Hi?", "response": "yes", "score": "3.5"}
    assert record(converted(row)) == {
        "text": "Hi?\nyes",
        "prompt": "Hi?",
        "messages": None,
        "responses": ["yes"],
        "group": "Hi?",
        "score": 3.5,
    }


def test_a_text_may_be_rated_by_itself() -> None:
    found = record(converted({"text": "a good film", "rating": 4}))
    assert (found["prompt"], found["responses"], found["score"]) == (None, ["a good film"], 4)
    assert "group" not in found


def test_a_prompt_keeps_its_rated_responses_in_one_split() -> None:
    """Unless the user has other groups in mind."""
    row = {"prompt": "Hi?", "response": "yes", "score": 1, "by": "Ada"}
    assert record(converted(row))["group"] == "Hi?"
    assert record(converted(row, columns={"group": "by"}))["group"] == "Ada"


def test_without_need_of_answers_judgements_may_be_missing() -> None:
    row = {"prompt": "Hi?", "response": "yes"}
    assert "data.preferences_not_recognised" in fault_of(row)
    found = record(converted(row, answers=False))
    assert found["responses"] == ["yes"] and "score" not in found


def test_ids_and_groups_are_those_of_a_prompts_first_row() -> None:
    rows = [{**PAIR, "id": i, "who": "x"} for i in (7, 8)]
    found = record(converted(*rows, columns={"group": "who"}))
    assert (found["id"], found["group"]) == (7, "x")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [USER], "chosen": [YES], "rejected": [NO]},
        {"prompt": "Hi?", "chosen": [USER, YES], "rejected": [USER, NO]},
        {"chosen": [USER, YES], "rejected": [USER, NO]},
        {"messages": [USER], "chosen": YES, "rejected": NO},
        {
            "conversations": [{"from": "human", "value": "Hi?"}],
            "chosen": {"from": "gpt", "value": "yes"},
            "rejected": {"from": "gpt", "value": "no"},
        },
    ],
    ids=["turns", "repeated", "implicit", "single", "sharegpt"],
)
def test_conversations_are_a_prompt_and_their_last_turns(row: dict[str, Any]) -> None:
    found = record(converted(row))
    assert (found["messages"], found["responses"]) == ([USER], ["yes", "no"])
    assert found["prompt"] == "Hi?"


def test_turns_between_prompt_and_response_belong_to_the_prompt() -> None:
    more = [YES, {"role": "user", "content": "Sure?"}]
    row = {"prompt": "Hi?", "chosen": [*more, YES], "rejected": [*more, NO]}
    found = record(converted(row))
    assert found["messages"] == [USER, *more]
    assert found["prompt"] == "user: Hi?\nassistant: yes\nuser: Sure?"


def test_instruction_input_and_system_are_one_prompt() -> None:
    row = {"instruction": "Add.", "input": "1 2", "chosen": "3", "rejected": "4"}
    assert record(converted(row))["prompt"] == "Add.\n1 2"
    found = record(converted({**row, "system": "Be brief."}))
    assert found["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Add.\n1 2"},
    ]


def test_columns_may_be_named() -> None:
    row = {"ask": "Hi?", "good": "yes", "bad": "no", "prompt": "not this"}
    named = {"prompt": "ask", "chosen": "good", "rejected": "bad"}
    table = converted(row, columns=named)
    assert record(table)["prompt"] == "Hi?"
    assert "data.columns_not_read source=a.jsonl columns=prompt" in noted(table.notes)


def test_notes_tell_what_was_read() -> None:
    table = converted({**PAIR, "chosen_by": "x"})
    assert noted(table.notes) == [
        "data.as_it_was",
        "data.read_as_layout source=a.jsonl title=preferences columns=prompt, chosen, rejected",
        "data.columns_not_read source=a.jsonl columns=chosen_by",
        "data.pairs_found source=a.jsonl pairs=1 prompts=1",
    ]


def test_the_embedded_pairs_are_sound_and_length_gives_nothing_away() -> None:
    faults = Faults()
    table = read_file("demo:preferences_en", DataConfig(train="demo:preferences_en"), faults)
    assert table is not None
    found = convert_preferences(table, {}, faults)
    assert not list(faults) and len(found) == len(table) == 150
    assert len(found.notes) == 2  # nothing was left out, repeated or contradicted
    longer = [len(chosen) > len(rejected) for chosen, rejected in found.columns["responses"]]
    assert 0.45 < sum(longer) / 150 < 0.55


# --- What teaches nothing --------------------------------------------------------


def test_pairs_of_the_same_and_empty_responses_are_left_out_and_counted() -> None:
    same, empty = {**PAIR, "rejected": " yes"}, {**PAIR, "chosen": " "}
    table = converted(PAIR, same, empty, same)
    assert record(table)["pairs"] == [PreferencePair(0, 1, 0.0, 1.0, 1)]
    assert "data.responses_same source=a.jsonl number=2 lines=2, 4" in noted(table.notes)
    assert "data.responses_empty source=a.jsonl number=1 lines=3" in noted(table.notes)


def test_a_file_of_nothing_else_is_refused() -> None:
    found = fault_of({**PAIR, "rejected": "yes"})
    assert found == "a.jsonl:1 data.no_pairs"


def test_repeated_and_contradicting_pairs_are_counted() -> None:
    turned = {**PAIR, "chosen": "no", "rejected": "yes"}
    table = converted(PAIR, PAIR, turned)
    assert len(record(table)["pairs"]) == 3
    assert "data.pairs_repeated source=a.jsonl number=1 lines=2" in noted(table.notes)
    assert "data.pairs_contradicted source=a.jsonl number=1 lines=3" in noted(table.notes)


# --- Faults --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt": None}, "a.jsonl:2 data.cell_missing role=prompt column=prompt"),
        ({"prompt": "  "}, "a.jsonl:2 data.cell_missing role=prompt"),
        ({"rejected": None}, "a.jsonl:2 data.cell_missing role=rejected response column=rejected"),
        ({"margin": "much"}, "a.jsonl:2 data.cell_not_a_number role=margin cell=much"),
        ({"margin": -1}, "a.jsonl:2 data.margin_negative margin=-1"),
        ({"margin": float("inf")}, "a.jsonl:2 data.cell_not_a_number role=margin cell=inf"),
        ({"chosen": [USER]}, "a.jsonl:2 data.response_not_last column=chosen"),
        (
            {"chosen": [{"role": "user", "content": "Bye?"}, YES], "rejected": [USER, NO]},
            "a.jsonl:2 data.prompts_differ",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_told_with_its_line(row: dict[str, Any], told: str) -> None:
    assert fault_of(PAIR, {**PAIR, **row}).startswith(told)


def test_ratings_among_preferences_are_refused_with_their_lines() -> None:
    found = fault_of(PAIR, {"prompt": "Hi?", "response": "yes", "score": 3})
    assert found == "a.jsonl:2 data.not_a_preference"


def test_a_score_that_is_no_number_is_refused() -> None:
    rows: list[dict[str, Any]] = [{"text": "a", "score": 1}, {"text": "b", "score": "high"}]
    assert fault_of(*rows).startswith("a.jsonl:2 data.cell_not_a_number role=score cell=high")


def test_a_ranking_of_one_is_refused() -> None:
    rows = [{"prompt": "Hi?", "responses": said} for said in (["a", "b"], ["a"])]
    assert fault_of(*rows).startswith("a.jsonl:2 data.ranking_too_short number=1")


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ({"prompt": "Hi?", "chosen": "yes"}, "rejected"),
        ({"prompt": "Hi?", "score": 2}, "response"),
        ({"response": "yes", "score": 2}, "prompt"),
        ({"responses": ["a", "b"]}, "prompt"),
    ],
)
def test_a_missing_column_is_named(row: dict[str, Any], missing: str) -> None:
    assert fault_of(row).startswith(f"a.jsonl:1 data.column_missing role={missing}")


def test_without_any_judgement_the_possible_columns_are_told() -> None:
    assert fault_of({"a": 1}) == "a.jsonl:1 data.preferences_not_recognised columns=a"
