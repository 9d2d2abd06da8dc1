"""`welltuned data`: what is in the data, told without loading a model."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from faults import refused
from support import make_rows, write_rows
from welltuned.cli.console.data import Inspection, inspect
from welltuned.errors import InputError
from welltuned.models import loading


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may load a weight, or even build a skeleton."""
    for name in ("load_model", "build_skeleton"):
        monkeypatch.setattr(loading, name, lambda *args: pytest.fail("a model was loaded"))


def shown(inspection: Inspection) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=400).print(inspection.render())
    return buffer.getvalue()


def test_a_bare_file_is_enough(sentiment: str) -> None:
    facts = inspect(sentiment, []).facts
    assert [facts["splits"][name]["rows"] for name in ("train", "validation", "test")] == [
        96,
        12,
        12,
    ]
    assert facts["task"]["labels"] == ["negative", "positive"]
    assert facts["columns"] == {"text": "text", "label": "label"}
    assert "tokens" not in facts["task"]


def test_the_facts_are_those_of_a_run(finished: Any, sentiment: str) -> None:
    """With the model named, the counts of tokens too."""
    model = finished.config["model"]["name"]
    facts = inspect(sentiment, [f"model={model}"]).facts
    assert facts == finished.read("data.json")


def test_splits_and_labels_are_counted_in_tables(sentiment: str) -> None:
    lines = [line.split() for line in shown(inspect(sentiment, [])).splitlines()]
    assert ["train", sentiment, "96", "0", "0", "0"] in lines
    assert ["test", sentiment, "12", "0", "0", "0"] in lines
    assert ["negative", "48", "6", "6"] in lines
    assert ["positive", "48", "6", "6"] in lines


def test_without_a_model_three_texts_are_shown(sentiment: str) -> None:
    text = shown(inspect(sentiment, []))
    assert text.count("example ") == 3
    first = next(row for row in make_rows(120) if f"\n{row['text']}\n" in text)
    assert f"label: {first['label']}" in text
    assert "Add model=NAME to see tokens." in text


def test_with_a_model_three_texts_are_shown_token_by_token(tiny: Any, sentiment: str) -> None:
    inspection = inspect(sentiment, [f"model={tiny('bert')}"])
    text = shown(inspection)
    words = inspection.collected.train["text"][0].split()
    ids = inspection.examples.encoded[0].tolist() if inspection.examples is not None else []
    tokens = ["[CLS]", *words, "[SEP]"]
    assert " ".join(f"{token}·{i}" for token, i in zip(tokens, ids, strict=True)) in text
    assert (ids[0], ids[-1]) == (2, 3)
    assert text.count("[CLS]·2") == 3
    assert "Add model" not in text


def test_texts_that_will_be_cut_are_counted(tiny: Any, sentiment: str) -> None:
    overrides = [f"model={tiny('bert')}", "task.max_length=8"]
    task = inspect(sentiment, overrides).facts["task"]
    assert task["max_length"] == 8
    assert task["tokens"]["train"]["greatest"] == 8
    longer = sum(len(row["text"].split()) + 2 > 8 for row in make_rows(120))
    assert sum(task["truncated"].values()) == longer > 0


def test_the_length_is_what_the_model_takes(tiny: Any, tmp_path: Path) -> None:
    rows = [{**row, "text": row["text"] + " good" * 70} for row in make_rows(30)]
    data = write_rows(tmp_path / "long.jsonl", rows)
    task = inspect(data, [f"model={tiny('bert')}"]).facts["task"]
    assert task["max_length"] == 64
    assert sum(task["truncated"].values()) == 30


def test_a_config_is_read_with_its_overrides(tiny: Any, tmp_path: Path) -> None:
    rows = [{"words": row["text"], "mood": row["label"], "more": 1} for row in make_rows(60)]
    data = write_rows(tmp_path / "data.jsonl", rows)
    columns = {"text": "words", "label": "mood"}
    values = {"model": tiny("bert"), "data": {"train": data, "columns": columns}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    inspection = inspect(str(tmp_path / "config.yaml"), ["data.split.test=0.5"])
    assert inspection.facts["splits"]["test"]["rows"] == 30
    text = shown(inspection)
    assert "text from 'words'" in text and "label from 'mood'" in text
    assert "Not used: more." in text
    assert "[CLS]·2" in text


def test_numbers_have_no_table_of_labels(tmp_path: Path) -> None:
    rows = [{**row, "label": i / 8} for i, row in enumerate(make_rows(40))]
    inspection = inspect(write_rows(tmp_path / "numbers.jsonl", rows), [])
    assert inspection.facts["task"]["problem"] == "regression"
    assert "label: " in shown(inspection)


def test_pairs_are_shown_as_two_texts(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", make_rows(40, pair=True))
    inspection = inspect(data, [])
    train, lines = inspection.collected.train, shown(inspection).splitlines()
    where = lines.index(train["text"][0])
    assert lines[where + 1] == train["text_pair"][0]


@pytest.mark.parametrize("name", ["[/INST]", "[red]"])
def test_labels_in_brackets_are_shown_as_they_are(name: str, tmp_path: Path) -> None:
    rows = [{**row, "label": name if row["label"] == "positive" else "no"} for row in make_rows(40)]
    text = shown(inspect(write_rows(tmp_path / "odd.jsonl", rows), []))
    assert [name, "16", "2", "2"] in [line.split() for line in text.splitlines()]


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text('{"text": "good", "label": "yes"}\n{"text": \n{"text": "bad", "label": }\n')
    with pytest.raises(InputError) as failure:
        inspect(str(file), [])
    assert [
        str(fault).startswith(f"{file}:{line}:")
        for line, fault in zip((2, 3), failure.value.faults, strict=True)
    ] == [True, True]


def test_no_data_is_a_fault_and_an_unknown_key_too() -> None:
    with refused("config.key_missing", key="data"):
        inspect(None, [])
    with refused("config.key_unknown", key="tsak"):
        inspect("demo:sentiment_en", ["tsak=classification"])


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with refused("data.file_missing"):
        inspect(str(tmp_path / "nothing.csv"), [])


def test_preferences_show_every_response(tiny: Any, preferences: str) -> None:
    """Without a model as text, with one as it is read with its prompt."""
    bare = inspect(preferences, ["task=reward"])
    first = bare.collected.train
    text = shown(bare)
    assert "judged: 1 > 2" in text
    assert f"\n{first['prompt'][0]}\n" in text
    assert f"response 2: {first['responses'][0][1]}" in text
    facts = bare.facts["task"]
    assert facts["problem"] == "preferences"
    assert sum(facts["pairs"].values()) == 75 and sum(facts["responses"].values()) > 120
    whole = inspect(preferences, ["task=reward", f"model={tiny('bert')}"])
    shown_rows = sum(len(said) for said in first["responses"][:3])
    assert shown(whole).count("[CLS]·2") == shown_rows
    direct = inspect(preferences, ["task=preference", f"model={tiny('bert')}"])
    assert "Green: what is learned." in shown(direct)
