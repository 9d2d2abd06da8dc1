"""Export schema: every field of `export.json`, which says what an exported model is and what
proves it.

RUN/exports/FORMAT-PRECISION/  export.json   what is written here
                               the format's own files, and the tokenizer's
                               predict.py    answers without torch, where the format can
                               export.html   one file, no network
                               SHA256SUMS    of all of them, checked whenever it is opened
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict

from welltuned.errors import InputError
from welltuned.runs.results_schema import Change
from welltuned.schema.versions import EXPORT

EXPORT_FILE = "export.json"
"""What an exported model is known by."""


class Agreement(TypedDict):
    """How far the exported model's raw outputs are from the original's."""

    examples: int
    """How many were compared, of the validation split."""
    largest: float
    """The largest absolute difference of any output."""
    mean: float
    """The mean absolute difference."""
    same_answers: float | None
    """The share of answers that are the same; None where answers are numbers."""


class RunningCost(TypedDict):
    """What answers cost, token ids to outputs."""

    milliseconds: float
    """Of one text by itself: the median over rounds."""
    texts_per_second: float
    """In batches of 32: the median over rounds."""
    bytes: int
    """Of the weights on disk."""


class ScoreProof(TypedDict):
    """The score of the same examples by both models."""

    split: str
    """test or, where that stays sealed, validation."""
    metric: str
    examples: int
    change: Change
    """The score before and after, with the 95% interval of the difference."""
    drop: float
    """Points lost: hundredths of a score whose best is 1, else percent of its value."""
    worst_drop: float
    """With 95% confidence no more points than this are lost."""
    limit: float
    """How many may be."""


class ExportAttempt(TypedDict):
    """One way of writing the format that was tried."""

    recipe: str
    """Such as `dynamic int8`."""
    kept: list[str]
    """Blocks that stayed in higher precision."""
    drop: float
    worst_drop: float
    texts_per_second: float


class ExportProof(TypedDict):
    """What was measured before the export was called done."""

    agreement: Agreement
    score: ScoreProof
    original: RunningCost
    """Of the tuned model as `predict` runs it."""
    exported: RunningCost
    """Measured in alternation with it."""
    attempts: list[ExportAttempt]
    processor: str
    threads: int


class ExportFile(TypedDict):
    """`export.json`."""

    schema_version: NotRequired[int]
    format: str
    """What `to=` calls it."""
    precision: str
    recipe: str
    """How that precision was reached."""
    kept: list[str]
    """Blocks that stayed in higher precision."""
    files: list[str]
    """Of the weights."""
    run: str | None
    """The folder of the run that it is of."""
    language: str
    """Of its report."""
    task: str
    labels: list[str]
    """The names of the classes in the order of the outputs; none where answers are not classes."""
    predictions: str
    """What outputs are read as: single_label, multi_label, number, tags, entities, pairs."""
    decision_rule: Mapping[str, Any]
    """What makes answers of outputs, where that is more than the likeliest."""
    inputs: list[str]
    """Names of the graph's inputs, each (batch, length) of int64."""
    pad_id: int
    max_length: int
    truncation_side: str
    special_tokens: str
    """`text` where special tokens written in texts are read as plain text, else `tokens`."""
    model: Mapping[str, Any]
    """The manifest of the artifact: `welltuned.json`."""
    proof: ExportProof | None
    """None for a model that stands without its run, and so without data to prove it on."""


def read_export(folder: Path) -> ExportFile:
    """What a folder says of its export. Raises `InputError` where it is damaged or too new."""
    return cast(ExportFile, EXPORT.read(folder / EXPORT_FILE))


def is_export(folder: Path) -> bool:
    """Whether a folder holds an exported model."""
    return (folder / EXPORT_FILE).is_file()


def exports_beside(folder: Path) -> list[ExportFile]:
    """All exports of the same run that lie beside one, this one included, by name.

    Others that cannot be read are passed over.
    """
    own = read_export(folder)
    if own["run"] is None:
        return [own]
    files = sorted(folder.resolve().parent.glob(f"*/{EXPORT_FILE}"))
    found = (_read_if_whole(file.parent) for file in files)
    return [one for one in found if one is not None and one.get("run") == own["run"]]


def _read_if_whole(folder: Path) -> ExportFile | None:
    try:
        return read_export(folder)
    except (InputError, OSError):
        return None
