"""Doubtful things in files: each kind is known, and each answer is told in one line."""

from __future__ import annotations

import json

import pytest

from welltuned.data.facts import DataFacts, SplitFacts
from welltuned.data.readings import QUESTIONS, question, read_as
from welltuned.data.table import SPLITS
from welltuned.schema.messages import message


def test_two_kinds_of_doubt_cannot_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("welltuned.data.readings.QUESTIONS", {})
    question("planted", asks="Which?", evidence="none", key="data.planted")
    with pytest.raises(ValueError, match="planted"):
        question("planted", asks="Which?", evidence="none", key="data.planted")
    assert "planted" not in QUESTIONS, "others do not see it"


def test_readings_are_told_before_notes_and_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("welltuned.data.readings.QUESTIONS", {})
    doubt = question("planted", asks="Which?", evidence="none", key="data.planted")
    facts = DataFacts()
    facts.note("data.mine", "mine")
    facts.readings.append(read_as(doubt, "left", message("data.planted_left", "left")))
    assert [said["code"] for said in facts.said] == ["data.planted_left", "data.mine"]
    facts.splits = {name: SplitFacts("a.csv") for name in SPLITS}
    stored = json.loads(json.dumps(facts.as_dict()))["readings"]
    assert [(one["question"], one["picked"]) for one in stored] == [("planted", "left")]
