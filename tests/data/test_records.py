"""Records: which column has which role."""

from __future__ import annotations

from typing import Any

import pytest

from faults import full
from welltuned.data.records import Records, Role, map_columns, to_records
from welltuned.data.table import Table
from welltuned.errors import Faults, Place

TEXT = Role("text", ("text", "sentence", "content"), is_input=True)
PAIR = Role("text_pair", ("text_pair", "sentence2"), required=False, is_input=True)
LABEL = Role("label", ("label", "class"), is_target=True)
ID = Role("id", ("id",), required=False)
ROLES = (TEXT, PAIR, LABEL, ID)


def mapped(header: list[str], **mapping: str) -> tuple[dict[str, str], list[str]]:
    faults = Faults()
    table = Table("a.csv", {column: ["x"] for column in header}, [2])
    return map_columns(table, ROLES, mapping, faults), full(faults)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (["text", "label"], {"text": "text", "label": "label"}),
        (["Sentence ", "CLASS"], {"text": "Sentence ", "label": "CLASS"}),
        (["sentence", "sentence2", "class", "id"],
         {"text": "sentence", "text_pair": "sentence2", "label": "class", "id": "id"}),
        (["content", "text", "label"], {"text": "text", "label": "label"}),
        (["label", "anything"], {"text": "anything", "label": "label"}),
        (["text", "anything"], {"text": "text", "label": "anything"}),
    ],
)  # fmt: skip
def test_columns_are_found_by_name(header: list[str], found: dict[str, str]) -> None:
    assert mapped(header) == (found, [])


def test_the_first_of_two_like_columns_is_taken() -> None:
    assert mapped(["Text", "TEXT", "label"])[0]["text"] == "Text"


def test_what_the_user_says_wins_over_names() -> None:
    found, faults = mapped(["text", "other", "label"], text="other")
    assert faults == []
    assert found == {"text": "other", "label": "label"}


def test_one_column_has_one_role() -> None:
    found, _ = mapped(["text", "label", "id"], text="label", label="text")
    assert found == {"text": "label", "label": "text", "id": "id"}


def test_two_columns_left_are_not_guessed_between() -> None:
    found, faults = mapped(["label", "alpha", "beta"])
    assert found == {"label": "label"}
    assert faults == ["a.csv:1 data.column_missing role=text columns=label, alpha, beta"]


def test_every_missing_column_is_told() -> None:
    _, faults = mapped(["alpha", "beta", "gamma"])
    assert len(faults) == 2
    assert "role=text" in faults[0] and "role=label" in faults[1]


def test_a_column_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    _, faults = mapped(["review", "label"], text="reviw")
    assert faults == [
        "a.csv:1 data.column_unknown column=reviw role=text hint=did you mean 'review'? "
        " columns=review, label"
    ]


def test_a_role_that_does_not_exist_is_refused_with_the_nearest_name() -> None:
    _, faults = mapped(["text", "label"], lable="label")
    assert faults == ["data.role_unknown role=lable hint=did you mean 'label'?"]


def test_an_outlandish_role_lists_the_roles() -> None:
    _, faults = mapped(["text", "label"], zzz="label")
    assert "roles are: text, text_pair, label, id" in faults[0]


@pytest.fixture
def records() -> Records:
    table = Table("a.csv", {"t": ["x", "y", "z"], "l": [1, 2, 3], "junk": [0, 0, 0]}, [2, 5, 9])
    return to_records(table, ROLES, {"text": "t", "label": "l"})


def test_records_hold_the_mapped_columns_by_role(records: Records) -> None:
    assert records.columns == {"text": ["x", "y", "z"], "label": [1, 2, 3]}
    assert "label" in records and "junk" not in records
    assert records.input_roles == ("text",)


def test_taken_records_keep_their_order_and_lines(records: Records) -> None:
    taken = records.take([2, 0])
    assert (taken["text"], taken["label"], taken.lines) == (["z", "x"], [3, 1], [9, 2])
    assert taken.place(0) == Place("a.csv", 9)


def test_a_record_without_an_id_is_known_by_its_place(records: Records) -> None:
    assert records.id(1) == "a.csv:5"
    assert Records("a.csv", {"id": [7]}, [2], ()).id(0) == "7"


def test_joined_records_keep_their_own_places(records: Records) -> None:
    """Columns that only one of them has are empty for the others."""
    other = Records("b.csv", {"text": ["w"], "id": ["mine"]}, [7], ("text",))
    both = records.join(other)
    assert both["text"] == ["x", "y", "z", "w"] and both["label"] == [1, 2, 3, None]
    assert [both.id(i) for i in (0, 3)] == ["a.csv:2", "mine"]
    assert both.lines == [2, 5, 9, 7] and both.input_roles == ("text",)


def test_texts_are_the_inputs_one_below_the_other() -> None:
    columns: dict[str, list[Any]] = {
        "text": ["a", "b", "c"],
        "text_pair": ["x", "y", "z"],
        "label": [0, 1, 0],
    }
    records = Records("f.csv", columns, [2, 3, 4], ("text", "text_pair"))
    assert records.texts() == ["a\nx", "b\ny", "c\nz"]
    assert records.texts(2) == ["a\nx", "b\ny"] and len(records.texts(9)) == 3
