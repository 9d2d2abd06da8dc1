"""Data sets that `datasets` has saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import noted
from gathering import gather, good
from reading import read
from support import write_rows
from welltuned.data.config import DataConfig
from welltuned.data.readers.hub import readers_of_dataset
from welltuned.data.storage.on_disk import TextColumn
from welltuned.errors import Faults


def test_a_saved_datasets_folder_is_read_with_the_names_of_its_classes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    label = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    datasets.DatasetDict({"train": part}).save_to_disk(tmp_path / "saved")
    table, faults = read(tmp_path / "saved")
    assert faults == []
    assert table.columns == {"text": ["a", "b"], "label": ["good", "bad"]}


def test_a_saved_folder_whose_file_is_damaged_is_refused(tmp_path: Path) -> None:
    """Its texts begin where no text is, which would end the process."""
    datasets = pytest.importorskip("datasets")
    part = datasets.Dataset.from_dict({"text": ["good film", "bad room"]})
    part.save_to_disk(tmp_path / "saved")
    (file,) = (tmp_path / "saved").glob("*.arrow")
    starts = b"".join(number.to_bytes(4, "little") for number in (0, 9, 17))
    raw = file.read_bytes()
    assert raw.count(starts) == 1
    (tmp_path / "saved" / file.name).unlink()
    file.write_bytes(raw.replace(starts, starts[:4] + b"\xff\xff\xff\x6f" * 2))
    table, faults = read(tmp_path / "saved")
    assert table is None
    assert len(faults) == 1 and faults[0].startswith("data.dataset_unavailable")


def test_a_data_set_is_read_as_it_is_fetched(tmp_path: Path, monkeypatch: Any) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [{"text": f"film {i}", "label": i % 2} for i in range(2500)]
    (tmp_path / "set").mkdir()
    write_rows(tmp_path / "set" / "train.jsonl", rows)
    source = f"hub:{tmp_path / 'set'}"
    whole = good(source, streaming=False)
    asked = good(source, streaming=True)
    for split in ("train", "validation", "test"):
        assert list(asked[split]["text"]) == list(whole[split]["text"])
        assert list(asked[split]["label"]) == list(whole[split]["label"])
    assert isinstance(asked.train["text"], TextColumn)
    assert "data.streamed source=set[train] rows=2500" in noted(asked.facts.notes)


def test_classes_of_a_stream_have_their_names(monkeypatch: Any) -> None:
    datasets = pytest.importorskip("datasets")
    label = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    fetched = {"train": part.to_iterable_dataset()}
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **options: fetched)
    faults = Faults()
    table = readers_of_dataset("set", DataConfig(train="hub:set"), faults, local=False)["train"]()
    assert table is not None and not len(faults)
    assert list(table.columns["text"]) == ["a", "b"]
    assert list(table.columns["label"]) == ["good", "bad"]


def test_a_stream_that_breaks_is_told_with_its_reason(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text('{"text": "good", "label": 1}\n{"text": \n')
    _, faults = gather(f"hub:{tmp_path / 'set'}", streaming=True)
    assert len(faults) == 1 and "data.dataset_unavailable" in faults[0]
