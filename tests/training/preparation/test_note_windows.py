"""Windows counted by split, for people and for data.json."""

from __future__ import annotations

from typing import Any

import numpy as np

from faults import noted, refused
from welltuned.data.facts import DataFacts
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.data.tokens.encoding import Encoded
from welltuned.data.tokens.windows import WindowIndex
from welltuned.tasks import Examples
from welltuned.training.preparation import note_windows

RECORDS = Records("long.csv", {"text": ["a", "b"]}, [2, 7], ("text",))
DATA: Any = DataSplits(RECORDS, RECORDS, RECORDS, DataFacts())


def examples(*sizes: int, per_step: int | None = None) -> Examples:
    encoded = Encoded.of([[1, 2]] * sum(sizes), [False] * sum(sizes))
    index = WindowIndex(np.cumsum([0, *sizes]), per_step)
    return Examples(encoded, None, RECORDS, windows=index)


def test_they_are_counted() -> None:
    note_windows.note_windows({"train": examples(1, 4), "test": examples(1, 1)}, DATA)
    assert DATA.facts.task["windows"] == {
        "train": {"texts": 1, "windows": 5, "mean": 2.5, "greatest": 4},
        "test": {"texts": 0, "windows": 2, "mean": 1.0, "greatest": 1},
    }
    assert noted(DATA.facts.notes) == [
        "task.read_in_windows split=train texts=1 total=2 lines=7 windows=5 greatest=4"
    ]


def test_more_than_a_step_should_hold_are_refused_with_their_line() -> None:
    with refused("task.too_many_windows", place="long.csv:7", number=129):
        note_windows.note_windows({"train": examples(1, 129)}, DATA)
    note_windows.note_windows({"train": examples(1, 129, per_step=8)}, DATA)
    note_windows.note_windows({"test": examples(1, 9999)}, DATA)


def test_without_windows_nothing_is_said() -> None:
    data: Any = DataSplits(RECORDS, RECORDS, RECORDS, DataFacts())
    plain = Examples(Encoded.of([[1], [2]], [False, False]), None, RECORDS)
    note_windows.note_windows({"train": plain}, data)
    assert "windows" not in data.facts.task
