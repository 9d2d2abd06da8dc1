"""The table of data flow beside tokens alone: from kept runs alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataflow import ENCODINGS, difference, measured_line, part_of

KEPT: dict[str, Any] = {
    "asked": {"examples": None, "epochs": 2, "max_length": 256, "model": None, "pretraining": 0},
    "runs": {
        f"code_clone_bcb/{way}/{seed}": {
            "right": [1, 0, int(way == "dataflow"), 1] * 25,
            "seconds": 10.0 if way == "tokens" else 15.0,
            "train": 965,
        }
        for way in ENCODINGS
        for seed in range(2)
    },
}


def test_a_difference_is_of_the_same_examples() -> None:
    before, after = np.zeros((2, 8)), np.zeros((2, 8))
    after[:, :4] = 1
    value, low, high = difference(before, after)
    assert value == 0.5 and low < 0.5 < high
    assert difference(before, before) == (0.0, 0.0, 0.0)


def test_both_pages_have_the_same_numbers() -> None:
    english, chinese = part_of(KEPT, "en"), part_of(KEPT, "zh")
    row = "| `code_clone_bcb` | 965 | 0.500 | 0.750 | +25.0 [+17.0, +33.0] | 1.50 |"
    assert row.split("[")[0] in english and row.split("[")[0] in chinese
    assert english.splitlines()[2] == chinese.splitlines()[2]
    assert "2 seeds" in english and "a random RoBERTa" in english


def test_the_example_tells_what_was_measured_and_by_which_model() -> None:
    runs = {
        key.replace("code_clone_bcb", "code_defect_devign"): one
        for key, one in KEPT["runs"].items()
    }
    line = measured_line({"runs": runs})
    assert "accuracy 0.750, tokens alone 0.500" in line and "a small RoBERTa" in line.replace(
        "\n# ", " "
    )
