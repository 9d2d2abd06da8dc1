"""The page of readings lists every question, and the keys it names are there."""

from __future__ import annotations

import pytest

import readings
from welltuned.data.config import DataConfig
from welltuned.data.readings import Question


def test_the_page_is_that_of_the_questions() -> None:
    assert readings.PAGE.read_text(encoding="utf-8") == readings.page(), "run `make readings`"


@pytest.mark.parametrize("asked", readings.questions(), ids=lambda asked: asked.name)
def test_a_question_is_asked_of_a_file_and_answered_by_a_key(asked: Question) -> None:
    assert asked.asks.endswith("?") and asked.evidence.endswith(".")
    section, key = asked.key.split(".")[:2]
    assert section != "data" or key in DataConfig.model_fields, asked.key
