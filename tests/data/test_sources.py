"""Where the splits of a data set come from: files, folders and embedded sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faults import full
from reading import read
from welltuned.data.config import DataConfig
from welltuned.data.sources import find_sources, read_file
from welltuned.data.table import Table
from welltuned.errors import Faults


def splits(config: DataConfig) -> tuple[dict[str, Table | None], list[str]]:
    """The tables of all splits, and the faults."""
    faults = Faults()
    tables = {split: reader() for split, reader in find_sources(config, faults).items()}
    return tables, full(faults)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "nowhere.csv")
    assert table is None
    assert [fault.partition(" remedy=")[0] for fault in faults] == ["nowhere.csv data.file_missing"]


def test_many_broken_lines_are_counted_and_hide_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{\n" * 13)
    (tmp_path / "test.jsonl").write_text("{\n" * 2)
    _, faults = splits(
        DataConfig(train=str(tmp_path / "train.jsonl"), test=str(tmp_path / "test.jsonl"))
    )
    assert sum("train.jsonl:" in fault for fault in faults) == 10
    assert sum("test.jsonl:" in fault for fault in faults) == 2
    assert faults[-1] == "train.jsonl data.bad_json more=3"


def test_a_folder_gives_its_splits_by_their_usual_names(tmp_path: Path) -> None:
    for stem in ("train", "dev", "testing"):
        (tmp_path / f"{stem}.jsonl").write_text(json.dumps({"text": stem}))
    tables, faults = splits(DataConfig(train=str(tmp_path)))
    assert faults == []
    assert {split: table.columns["text"] for split, table in tables.items() if table} == {
        "train": ["train"],
        "validation": ["dev"],
        "test": ["testing"],
    }


def test_a_file_named_for_a_split_wins_over_the_folders(tmp_path: Path) -> None:
    for stem in ("train", "test", "other"):
        (tmp_path / f"{stem}.jsonl").write_text(json.dumps({"text": stem}))
    config = DataConfig(train=str(tmp_path), test=str(tmp_path / "other.jsonl"))
    tables, _ = splits(config)
    assert tables["test"] is not None and tables["test"].columns["text"] == ["other"]


def test_two_files_for_one_split_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,b\n")
    (tmp_path / "training.jsonl").write_text("{}")
    _, faults = splits(DataConfig(train=str(tmp_path)))
    assert "data.folder_ambiguous split=train files=train.csv, training.jsonl" in faults[0]


def test_a_folder_without_training_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test.csv").write_text("text,label\na,b\n")
    (tmp_path / "train.csv").write_text("text,label\na,b\n")
    config = DataConfig(train=str(tmp_path / "train.csv"), validation=str(tmp_path / "data"))
    _, faults = splits(config)
    assert faults[0].startswith("data data.folder_without_train")


def test_all_missing_files_are_told_at_once() -> None:
    config = DataConfig(train="a.csv", validation="b.csv", test="c.csv")
    tables, faults = splits(config)
    assert tables == {}
    told = [fault.partition(" remedy=")[0] for fault in faults]
    assert told == [f"{name}.csv data.file_missing" for name in "abc"]


@pytest.mark.parametrize("name", ["demo:sentiment_en", "demo:sentiment_zh"])
def test_embedded_data_are_whole_and_have_two_classes(name: str) -> None:
    faults = Faults()
    table = read_file(name, DataConfig(train=name), faults)
    assert list(faults) == []
    assert table is not None and len(set(table.columns["label"])) == 2


def test_an_unknown_embedded_data_set_lists_the_known_ones() -> None:
    faults = Faults()
    assert read_file("demo:nothing", DataConfig(train="demo:nothing"), faults) is None
    (fault,) = full(faults)
    assert fault.startswith("data.demo_unknown name=demo:nothing known=demo:")
    assert "demo:sentiment_en, demo:sentiment_zh" in fault


# --- Names of nothing that is here ---------------------------------------------


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The names that the hub is asked for; here is a folder `data` with reviews.csv."""
    asked: list[str] = []

    def ask(name: str, *rest: object, **more: object) -> dict[str, object]:
        asked.append(name)
        return {}

    monkeypatch.setattr("welltuned.data.sources.readers_of_dataset", ask)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reviews.csv").write_text("text,label\na,b\n")
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.mark.parametrize(
    "name",
    ["gone.csv", "/gone", "./gone", "../gone", "~/gone", "data\\gone", "a/b/gone", "data/gone",
     "data/reviews", "gone/reviews.jsonl", "gone.v2"],
)  # fmt: skip
def test_a_path_to_nothing_is_missing_and_no_hub_is_asked(asked_for: list[str], name: str) -> None:
    table = read_file(name, DataConfig(train=name), faults := Faults())
    assert table is None and asked_for == []
    assert [fault.code for fault in faults] == ["data.file_missing"]


@pytest.mark.parametrize(
    ("name", "asked"),
    [("imdb", "imdb"), ("stanfordnlp/sst2", "stanfordnlp/sst2"), ("hub:a/b.v2", "a/b.v2")],
)
def test_other_names_are_asked_for(asked_for: list[str], name: str, asked: str) -> None:
    read_file(name, DataConfig(train=name), Faults())
    assert asked_for == [asked]


@pytest.mark.parametrize("name", ["data/reviews", "data/review.csv", "data/Reviews.csv"])
def test_the_remedy_names_the_file_that_was_meant(asked_for: list[str], name: str) -> None:
    read_file(name, DataConfig(train=name), faults := Faults())
    (fault,) = faults
    meant = fault.remedy.removeprefix("did you mean ").split("?")[0]
    assert meant == "data/reviews.csv"
    assert read_file(meant, DataConfig(train=meant), Faults()) is not None


# --- Options of the hub ---------------------------------------------------------


@pytest.mark.parametrize("option", [{"subset": "en"}, {"revision": "main"}, {"streaming": True}])
@pytest.mark.parametrize("name", ["data/reviews.csv", "demo:sentiment_en"])
def test_options_that_only_the_hub_heeds_are_refused_for_files(
    asked_for: list[str], name: str, option: dict[str, object]
) -> None:
    _, faults = splits(DataConfig.model_validate({"train": name, **option}))
    (key,) = option
    assert faults == [f"data.hub_option_of_files option={key} name={name}"]
    assert asked_for == []


def test_options_of_the_hub_are_heeded_where_one_split_is_there(asked_for: list[str]) -> None:
    config = DataConfig(train="hub:sst2", test="data/reviews.csv", subset="en")
    _, faults = splits(config)
    assert faults == [] and asked_for == ["sst2"]
