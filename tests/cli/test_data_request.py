"""What `welltuned data` is asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from faults import refused
from welltuned.cli.data_request import read_data_request


def test_a_bare_file_is_enough(sentiment: str) -> None:
    asked = read_data_request(sentiment, [])
    assert asked.data.train == sentiment
    assert asked.model is None


def test_a_file_takes_overrides(sentiment: str) -> None:
    asked = read_data_request(sentiment, ["task.max_length=8", "model=somewhere"])
    assert asked.task.max_length == 8
    assert asked.model is not None and asked.model.name == "somewhere"


def test_a_config_is_read_with_its_overrides(tmp_path: Path) -> None:
    columns = {"text": "words", "label": "mood"}
    values = {"model": "somewhere", "data": {"train": "data.jsonl", "columns": columns}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    asked = read_data_request(str(tmp_path / "config.yaml"), ["data.split.test=0.5"])
    assert asked.data.columns == columns
    assert asked.data.split.test == 0.5
    assert asked.model is not None and asked.model.name == "somewhere"


def test_no_data_is_a_fault_and_an_unknown_key_too() -> None:
    with refused("config.key_missing", key="data"):
        read_data_request(None, [])
    with refused("config.key_unknown", key="tsak"):
        read_data_request("demo:sentiment_en", ["tsak=classification"])


@pytest.mark.parametrize(
    ("written", "key", "value"),
    [
        ("data.missing=-1", "missing", ["-1"]),
        ("data.missing=[nan,-1]", "missing", ["nan", "-1"]),
        ("data.missing=nan,NA", "missing", ["nan", "NA"]),
        ("data.missing=[null]", "missing", ["null"]),
        ("data.missing=[]", "missing", []),
        ("data.leave_out=[test]", "leave_out", ["test"]),
        ("data.leave_out=test", "leave_out", ["test"]),
        ("data.decimal=comma", "decimal", "comma"),
        ("data.columns.text_pair=", "columns", {"text_pair": ""}),
        ("data.columns.labels=a,b c", "columns", {"labels": "a,b c"}),
        ("data.columns.labels=[a, 2]", "columns", {"labels": "a,2"}),
    ],
)
def test_what_remedies_say_can_be_written_on_the_line(
    sentiment: str, written: str, key: str, value: Any
) -> None:
    assert getattr(read_data_request(sentiment, [written]).data, key) == value


@pytest.mark.parametrize("mark", ["|", ",", ";"])
def test_a_separator_can_be_written_on_the_line(sentiment: str, mark: str) -> None:
    asked = read_data_request(sentiment, [f"task.label_separator={mark}"])
    assert getattr(asked.task, "label_separator", None) == mark
