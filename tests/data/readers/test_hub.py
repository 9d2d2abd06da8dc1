"""Data sets that `datasets` has saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from reading import read


def test_a_saved_datasets_folder_is_read_with_the_names_of_its_classes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    label = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    datasets.DatasetDict({"train": part}).save_to_disk(tmp_path / "saved")
    table, faults = read(tmp_path / "saved")
    assert faults == []
    assert table.columns == {"text": ["a", "b"], "label": ["good", "bad"]}
