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
