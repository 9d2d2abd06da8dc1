"""Files of ours that something has damaged are refused with their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import refused
from welltuned.schema.written_file import read_mapping


def test_json_and_yaml_are_read_by_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": "größe"}')
    (tmp_path / "a.yaml").write_text("name: größe\n")
    assert read_mapping(tmp_path / "a.json") == read_mapping(tmp_path / "a.yaml")
    assert read_mapping(tmp_path / "a.yaml") == {"name": "größe"}


@pytest.mark.parametrize("text", ["", "[1, 2]", "null", '"state"', "7"])
def test_what_holds_no_keys_is_damaged(text: str, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(text)
    with refused("run.file_damaged"):
        read_mapping(tmp_path / "status.json")


def test_the_spot_where_json_breaks_off_is_named(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    file.write_text('{"state": "running",\n "step": 3, "err')
    with refused("run.file_damaged", place=f"{file}:2:13"):
        read_mapping(file)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: [1,\nb: }"])
def test_bytes_that_are_no_text_and_broken_yaml_are_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with refused("run.file_damaged"):
        read_mapping(tmp_path / "config.yaml")


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_mapping(tmp_path / "status.json")
