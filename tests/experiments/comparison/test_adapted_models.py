"""A comparison with and without adaptation: the adapted model is made once, for all seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comparing import carried_out, values_for
from faults import refused
from support import make_rows, write_rows
from welltuned.experiments.comparison.observer import ComparisonObserver

HEAD = {"type": "partial", "num_blocks": 0}
SHORT = {"max_steps": 2, "precision": "fp32", "device": "cpu", "learning_rate": 1e-2}


class Notes(ComparisonObserver):
    def __init__(self) -> None:
        self.told: list[str] = []

    def noted(self, text: str) -> None:
        self.told.append(text)


def asked(model: str, labelled: str, texts: str, folder: Path) -> dict[str, Any]:
    data = {"train": labelled, "unlabelled": texts}
    return values_for(
        model, labelled, folder, strategies=[HEAD, {"type": "adapt", "strategy": HEAD}]
    ) | {"data": data, "adaptation": {"training": SHORT}}


@pytest.mark.slow
@pytest.mark.usefixtures("here", "unread")
def test_cells_of_all_seeds_start_from_one_adapted_model(
    tiny: Callable[..., str], few: str, tmp_path: Path
) -> None:
    texts = write_rows(tmp_path / "texts.jsonl", make_rows(40, seed=9))
    values, notes = asked(tiny("bert"), few, texts, tmp_path / "c"), Notes()
    comparison = carried_out(values, notes)
    (folder,) = (comparison.folder / "adapted").iterdir()
    rows = comparison.record["rows"]
    assert all(cell["state"] == "finished" for row in rows for cell in row["cells"])
    models = [
        [
            comparison.cell(row["slug"], cell["seed"]).config["model"]["name"]
            for cell in row["cells"]
        ]
        for row in rows
    ]
    assert models == [[tiny("bert")] * 2, [str(folder / "model")] * 2]
    assert any("once for all seeds" in line for line in notes.told)
    made = (folder / "adaptation.json").stat().st_mtime_ns
    carried_out(values)
    assert (folder / "adaptation.json").stat().st_mtime_ns == made


@pytest.mark.usefixtures("here", "unread")
def test_texts_that_are_tested_on_are_refused_before_any_cell(
    tiny: Callable[..., str], few: str, tmp_path: Path
) -> None:
    with refused("adapt.unlabelled_in_test"):
        carried_out(asked(tiny("bert"), few, few, tmp_path / "c"))
    assert not list((tmp_path / "c").rglob("cell.json"))
