"""What is found in data without loading a weight: the facts of a run, and examples as it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import make_rows, write_rows
from welltuned.cli.data_request import DataRequest
from welltuned.errors import InputError
from welltuned.models import loading
from welltuned.training.preparation.data_summary import DataSummary, summarise_data


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may load a weight, or even build a skeleton."""
    for name in ("load_model", "build_skeleton"):
        monkeypatch.setattr(loading, name, lambda *args: pytest.fail("a model was loaded"))


def summary(data: str, model: str | None = None, **task: Any) -> DataSummary:
    values = {"data": {"train": data}, "task": {"type": "classification", **task}}
    asked = DataRequest.model_validate(values | ({"model": {"name": model}} if model else {}))
    return summarise_data(asked.data, asked.task, asked.model)


def test_splits_are_counted_without_a_model(sentiment: str) -> None:
    found = summary(sentiment)
    splits = found.facts.splits
    assert [splits[name].rows for name in ("train", "validation", "test")] == [96, 12, 12]
    assert found.facts.task["labels"] == ["negative", "positive"]
    assert found.facts.columns == {"text": "text", "label": "label"}
    assert "tokens" not in found.facts.task
    assert not found.is_encoded and not found.learns_tokens


def test_of_folds_the_first_is_counted(sentiment: str) -> None:
    asked = DataRequest.model_validate({"data": {"train": sentiment, "folds": 4}})
    facts = summarise_data(asked.data, asked.task).facts
    assert [facts.splits[name].rows for name in ("train", "validation", "test")] == [82, 8, 30]
    assert facts.notes[0]["code"] == "data.fold_held_out"


def test_the_facts_are_those_of_a_run(finished: Any, sentiment: str) -> None:
    """With the model named, the counts of tokens too."""
    found = summary(sentiment, finished.config["model"]["name"])
    assert found.facts.as_dict() == finished.read("data.json")


def test_without_a_model_three_examples_are_text(sentiment: str) -> None:
    found = summary(sentiment)
    labels = {row["text"]: row["label"] for row in make_rows(120)}
    assert len(found.examples) == 3
    for example in found.examples:
        (text,) = example.lines
        assert example.target == labels[text]
        assert example.rows == ()
        assert example.id.startswith(f"{sentiment}:")


def test_with_a_model_every_token_is_told(tiny: Any, sentiment: str) -> None:
    found = summary(sentiment, tiny("bert"))
    assert found.is_encoded and len(found.examples) == 3
    for example in found.examples:
        (row,) = example.rows
        assert [token.text for token in row] == ["[CLS]", *example.lines[0].split(), "[SEP]"]
        assert (row[0].number, row[-1].number) == (2, 3)
        assert [token.is_special for token in row] == [True, *[False] * (len(row) - 2), True]
    assert not found.learns_tokens


def test_texts_that_will_be_cut_are_counted(tiny: Any, sentiment: str) -> None:
    task = summary(sentiment, tiny("bert"), max_length=8).facts.task
    assert task["max_length"] == 8
    assert task["tokens"]["train"]["greatest"] == 8
    longer = sum(len(row["text"].split()) + 2 > 8 for row in make_rows(120))
    assert sum(task["truncated"].values()) == longer > 0


def test_the_length_is_what_the_model_takes(tiny: Any, tmp_path: Path) -> None:
    rows = [{**row, "text": row["text"] + " good" * 70} for row in make_rows(30)]
    task = summary(write_rows(tmp_path / "long.jsonl", rows), tiny("bert")).facts.task
    assert task["max_length"] == 64
    assert sum(task["truncated"].values()) == 30


def test_pairs_are_two_lines(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", make_rows(40, pair=True))
    pairs = {(row["text"], row["text_pair"]) for row in make_rows(40, pair=True)}
    assert all(example.lines in pairs for example in summary(data).examples)


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text('{"text": "good", "label": "yes"}\n{"text": \n{"text": "bad", "label": }\n')
    with pytest.raises(InputError) as failure:
        summary(str(file))
    assert [
        str(fault).startswith(f"{file}:{line}:")
        for line, fault in zip((2, 3), failure.value.faults, strict=True)
    ] == [True, True]


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with refused("data.file_missing"):
        summary(str(tmp_path / "nothing.csv"))


def test_preferences_have_a_row_for_every_response(tiny: Any, preferences: str) -> None:
    bare = summary(preferences, type="reward")
    assert bare.facts.task["problem"] == "preferences"
    pairs, responses = bare.facts.task["pairs"], bare.facts.task["responses"]
    assert sum(pairs.values()) == 75 and sum(responses.values()) > 120
    assert bare.target_name == "judged"
    assert bare.examples[0].target == "1 > 2, 3 > 4"
    read = summary(preferences, tiny("bert"), type="reward")
    assert [len(one.rows) for one in read.examples] == [len(one.lines) - 1 for one in bare.examples]


def test_what_is_learned_is_marked(tiny: Any, preferences: str) -> None:
    found = summary(preferences, tiny("bert"), type="preference")
    assert found.learns_tokens
    for row in (row for example in found.examples for row in example.rows):
        learned = [token.is_learned for token in row]
        assert learned[-1] and not learned[0]


def test_texts_that_are_too_long_are_told_with_their_lines(tiny: Any, tmp_path: Path) -> None:
    rows = make_rows(60)
    rows[7]["text"], rows[9]["text"] = "good film " * 40, "bad room " * 40
    split = {"validation": write_rows(tmp_path / "v.jsonl", make_rows(8, seed=5))}
    split["test"] = write_rows(tmp_path / "t.jsonl", make_rows(8, seed=6))
    data = {"train": write_rows(tmp_path / "a.jsonl", rows), **split, "duplicates": "keep"}
    values = {"data": data, "task": {"max_length": 24}, "model": {"name": tiny("bert")}}
    asked = DataRequest.model_validate(values)
    notes = summarise_data(asked.data, asked.task, asked.model).facts.notes
    (cut,) = (note["values"] for note in notes if note["code"] == "task.cut")
    assert (cut["number"], cut["lines"]) == (2, "8, 10")


def test_answers_that_are_all_masked_are_refused(tiny: Any, tmp_path: Path) -> None:
    rows = [{"prompt": f"{'good ' * 60}{i}", "completion": "film"} for i in range(30)]
    file = write_rows(tmp_path / "a.jsonl", rows)
    with refused("task.nothing_to_learn", place=file, split="train", tokens=16):
        values = {"data": {"train": file}, "task": {"type": "generation", "max_length": 16}}
        asked = DataRequest.model_validate(values | {"model": {"name": tiny("bert")}})
        summarise_data(asked.data, asked.task, asked.model)
