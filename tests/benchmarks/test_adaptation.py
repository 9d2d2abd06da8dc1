"""The figures of `benchmarks/adaptation.py`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from adaptation import (
    ASKED,
    EXTENDED,
    PLAIN,
    READ,
    gain,
    part_of,
    table,
    unlabelled,
    variants,
    with_measured,
)

ASKED_FOR = dict.fromkeys(ASKED, 1000)
ADAPTATION = {
    "seconds": 120, "loss_before": 9.0, "loss": 4.5, "tokens_saved": 0.25, "texts": 2000,
    "epochs": 3.0, "output_layer_built": True, "retention": {"kept": 0.9},
}  # fmt: skip
TOLD = {"gain": (0.02, -0.01, 0.05), "adaptation": ADAPTATION}
FOUND = {"set": "reviews", "asked": ASKED_FOR, "accuracy": 0.7, READ: TOLD, EXTENDED: TOLD}


def test_gains_are_of_the_same_texts() -> None:
    before_N = np.tile([0.0, 1.0], 100)
    value, low, high = gain(before_N, before_N)
    assert (value, low, high) == (0, 0, 0)
    value, low, high = gain(before_N, np.ones(200))
    assert value == pytest.approx(0.5)
    assert 0.4 < low < value < high < 0.6


def test_texts_are_written_without_their_labels(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    rows = [{"text": f"text {i}", "label": 1} for i in range(3)]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    file = Path(unlabelled(folder, tmp_path, most=2))
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"text": "text 0"}, {"text": "text 1"},
    ]  # fmt: skip


def test_each_way_is_a_row_of_its_own_beside_the_one_without() -> None:
    assert [one["name"] for one in variants("full", [READ, EXTENDED], 9)] == [PLAIN, READ, EXTENDED]
    assert [one["name"] for one in variants("full", [EXTENDED], 9)] == [PLAIN, EXTENDED]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_row_for_each_way_of_reading(language: str) -> None:
    lines = table([FOUND], language).splitlines()
    assert len(lines) == 4
    told = "| 2,000 × 3 | 0.700 | +2.0 [-1.0, +5.0] | 2 min | – → 4.50 | 25% | 0.90 |"
    assert lines[2].endswith(told)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_the_table_was_made_of_stands_below_it(language: str) -> None:
    kept = {
        "measured": [FOUND], "cpu": "C", "cores": 2, "versions": {"torch": "9"}, "date": "D",
    }  # fmt: skip
    assert part_of(kept, language).splitlines()[-1].count("1,000") == 1


def test_a_table_keeps_rows_that_were_asked_for_alike() -> None:
    fewer = {**FOUND, "asked": {**ASKED_FOR, "most_texts": 10, "epochs": 1}}
    other = {**FOUND, "set": "code"}
    kept = {"measured": [fewer, FOUND, other]}
    again = {"set": "reviews", "asked": ASKED_FOR, "accuracy": 0.8, READ: TOLD}
    both = {**again, EXTENDED: TOLD}
    assert with_measured(kept, again) == [fewer, other, both]
    longer = {**FOUND, "asked": {**ASKED_FOR, "max_length": 64}}
    assert with_measured(kept, longer) == [longer]
