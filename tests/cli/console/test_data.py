"""`welltuned data` in a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from coding import make_functions, save_code_model
from support import make_rows, write_rows
from welltuned.cli.console.data import show_data
from welltuned.cli.data_request import read_data_request
from welltuned.training.preparation.data_summary import DataSummary, summarise_data


def summary(file: str, *overrides: str) -> DataSummary:
    asked = read_data_request(file, list(overrides))
    return summarise_data(asked.data, asked.task, asked.model)


def shown(found: DataSummary) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=400).print(show_data(found))
    return buffer.getvalue()


def test_splits_and_labels_are_counted_in_tables(sentiment: str) -> None:
    lines = [line.split() for line in shown(summary(sentiment)).splitlines()]
    assert ["train", sentiment, "96", "0", "0", "0"] in lines
    assert ["test", sentiment, "12", "0", "0", "0"] in lines
    assert ["negative", "48", "6", "6"] in lines
    assert ["positive", "48", "6", "6"] in lines


def test_without_a_model_three_texts_are_shown(sentiment: str) -> None:
    text = shown(summary(sentiment))
    assert text.count("example ") == 3
    first = next(row for row in make_rows(120) if f"\n{row['text']}\n" in text)
    assert f"label: {first['label']}" in text
    assert "Add model=NAME to see tokens." in text


def test_with_a_model_three_texts_are_shown_token_by_token(tiny: Any, sentiment: str) -> None:
    found = summary(sentiment, f"model={tiny('bert')}")
    text = shown(found)
    (row,) = found.examples[0].rows
    assert " ".join(f"{token.text}·{token.number}" for token in row) in text
    assert text.count("[CLS]·2") == 3
    assert "Add model" not in text


def test_windows_are_counted_and_each_is_shown(tiny: Any, sentiment: str) -> None:
    found = summary(sentiment, f"model={tiny('bert')}", "task.long=windows", "task.long.length=8")
    counted = found.facts.task["windows"]
    assert found.facts.task["max_length"] == 8 and counted["train"]["greatest"] > 1
    row = next(line.split() for line in shown(found).splitlines() if line.split()[:1] == ["train"])
    assert row[-2:] == [str(counted["train"]["texts"]), str(counted["train"]["greatest"])]
    assert row[-3] == "0", "nothing is cut"
    assert shown(found).count("[CLS]·2") == sum(len(one.rows) for one in found.examples) > 3


def test_columns_are_named_and_those_that_are_not_used(tiny: Any, tmp_path: Path) -> None:
    rows = [{"words": row["text"], "mood": row["label"], "more": 1} for row in make_rows(60)]
    data = write_rows(tmp_path / "data.jsonl", rows)
    text = shown(summary(data, "data.columns={text: words, label: mood}"))
    assert "text from 'words'" in text and "label from 'mood'" in text
    assert "Not used: more." in text


def test_numbers_have_no_table_of_labels(tmp_path: Path) -> None:
    rows = [{**row, "label": i / 8} for i, row in enumerate(make_rows(40))]
    found = summary(write_rows(tmp_path / "numbers.jsonl", rows))
    assert found.facts.task["problem"] == "regression"
    assert "label: " in shown(found)


def test_pairs_are_shown_as_two_texts(tmp_path: Path) -> None:
    found = summary(write_rows(tmp_path / "pairs.jsonl", make_rows(40, pair=True)))
    lines = shown(found).splitlines()
    one, other = found.examples[0].lines
    assert lines[lines.index(one) + 1] == other


@pytest.mark.parametrize("name", ["[/INST]", "[red]"])
def test_labels_in_brackets_are_shown_as_they_are(name: str, tmp_path: Path) -> None:
    rows = [{**row, "label": name if row["label"] == "positive" else "no"} for row in make_rows(40)]
    text = shown(summary(write_rows(tmp_path / "odd.jsonl", rows)))
    assert [name, "16", "2", "2"] in [line.split() for line in text.splitlines()]


def test_preferences_show_every_response(tiny: Any, preferences: str) -> None:
    """Without a model as text, with one as it is read with its prompt."""
    bare = summary(preferences, "task=reward")
    text = shown(bare)
    assert "judged: 1 > 2" in text
    prompt, *responses = bare.examples[0].lines
    assert f"\n{prompt}\n" in text and all(f"\n{response}\n" in text for response in responses)
    read = summary(preferences, "task=reward", f"model={tiny('bert')}")
    assert shown(read).count("[CLS]·2") == sum(len(one.rows) for one in read.examples)
    direct = summary(preferences, "task=preference", f"model={tiny('bert')}")
    assert "Green: what is learned." in shown(direct)


def test_what_was_counted_while_encoding_is_a_table(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "code.jsonl", make_functions(24))
    model = save_code_model(tmp_path / "model")
    asked = "task.encoding={type: dataflow, language: java}"
    text = shown(summary(data, f"model={model}", "task.max_length=100", asked))
    lines = [line.split() for line in text.splitlines()]
    assert ["nodes", "cut", "0", "0", "0"] in lines
    assert any(line[:1] == ["edges"] and int(line[1]) > 0 for line in lines)
