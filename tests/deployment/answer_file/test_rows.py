"""Rows of answers, as lines and as cells."""

from __future__ import annotations

import json

from welltuned.deployment.answer_file.rows import (
    answered_row,
    columns_of,
    flat,
    has_answer,
    json_line,
)


def test_a_row_has_its_id_first_and_then_what_was_asked() -> None:
    row = answered_row(("a", "b"), {"prediction": "good", "id": "7"})
    assert list(row) == ["id", "text", "prediction"] and row["text"] == ("a", "b")


def test_letters_that_no_encoding_knows_are_escaped() -> None:
    assert json_line({"text": "é"}) == '{"text": "é"}'
    line = json_line({"text": "\ud83d"})
    assert line.encode() and json.loads(line) == {"text": "\ud83d"}


def test_what_is_rarely_said_has_the_last_columns() -> None:
    row = flat({"reason": "empty", "probabilities": {"a": 0.5}, "prediction": "a", "id": "1"})
    assert columns_of(row) == [
        "id", "text", "prediction", "probabilities.a", "abstained", "cut", "reason", "code",
    ]  # fmt: skip


def test_one_that_is_not_sure_has_an_answer_all_the_same() -> None:
    assert has_answer({"prediction": None, "abstained": True})
    assert has_answer({"prediction": ""}) and not has_answer({"prediction": None, "code": "x"})
