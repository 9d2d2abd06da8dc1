"""What is to be known of texts that are read in windows: how many, and when they are too many."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from welltuned.data.facts import some_lines
from welltuned.data.load_splits import DataSplits
from welltuned.data.tokens.windows import WindowIndex
from welltuned.errors import Fault, InputError
from welltuned.tasks import Examples

MOST = 128
"""Windows of one text that a step may learn from; the memory for more is not to be had by accident.
"""


def note_windows(examples: Mapping[str, Examples], data: DataSplits) -> None:
    """Count long texts in windows, by split, in `data.json`.

    Raises `InputError` where a training text has too many to be learned from at once.
    """
    told = {split: part.windows for split, part in examples.items() if part.windows is not None}
    if not told:
        return
    if "train" in told:
        _require_few(told["train"], examples["train"], data)
    data.facts.task["windows"] = {split: _counts(windows) for split, windows in told.items()}
    for split, windows in told.items():
        _note(split, windows, examples[split], data)


def _counts(windows: WindowIndex) -> dict[str, float]:
    numbers = windows.numbers
    return {
        "texts": int((numbers > 1).sum()),
        "windows": int(numbers.sum()),
        "mean": float(numbers.mean()),
        "greatest": int(numbers.max()),
    }


def _note(split: str, windows: WindowIndex, examples: Examples, data: DataSplits) -> None:
    several = np.flatnonzero(windows.numbers > 1)
    if not len(several):
        return
    data.facts.note(
        "task.read_in_windows",
        "{split}: texts read in several windows: {texts:,} of {total:,} (line {lines}); "
        "{windows:,} windows in all, at most {greatest:,} of one text.",
        split=split,
        texts=len(several),
        total=len(windows),
        lines=some_lines(_lines(examples, several)),
        windows=int(windows.numbers.sum()),
        greatest=int(windows.numbers.max()),
    )


def _require_few(windows: WindowIndex, examples: Examples, data: DataSplits) -> None:
    longest = int(windows.numbers.argmax())
    number = int(windows.numbers[longest])
    if windows.per_step is None and number > MOST:
        line = _lines(examples, np.array([longest]))[0]
        index = data.train.lines.index(line)
        raise InputError(
            Fault(
                "task.too_many_windows",
                "the text has {number:,} windows, which a training step would all hold at once",
                data.train.place(index),
                "set task.long.windows_per_step, such as to 16, or shorten the text",
                number=number,
            )
        )


def _lines(examples: Examples, texts: np.ndarray) -> list[int]:
    """The lines of the records that some texts stand in, each once."""
    lines = examples.records.lines
    return list(dict.fromkeys(lines[examples.record_of(int(text))] for text in texts))
